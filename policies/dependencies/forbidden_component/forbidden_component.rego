# METADATA
# title: Only components that are allowed are used
# description: >-
#   What may come in from elsewhere is yours to say: a list of what is allowed, of what is forbidden, or both. Unless
#   settings say more, everything is allowed. Seen are actions, reusable workflows, images, components, includes, tasks,
#   templates and repositories. Not seen: what scripts fetch.
# custom:
#   id: dependencies.forbidden_component
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-8, OWASP-CICD-SEC-3]
#   applies_to: [github, gitlab, azure, tekton]
#   settings:
#     allowed:
#       type: strings
#       default: ["*"]
#       tighter: none
#       description: >-
#         What may be used, in lower case: `owner/name`, or a beginning with a star, such as `owner/*`. `*` allows everything.
#     denied:
#       type: strings
#       default: []
#       tighter: superset
#       description: What may not be used although it is allowed, written alike.
#   remediation: Use a component that is allowed, or ask whoever keeps the list.
package policyd.dependencies.forbidden_component

import data.policyd.lib.reference as references

deny contains violation if {
	# What allows everything asks nothing of any reference.
	allowed := _allowed
	not "*" in allowed
	some reference in input.references
	reference.kind != "tool"
	not reference.local
	slug := reference.slug
	not _is_allowed(slug)
	violation := {
		"message": sprintf("%v is not among the components that may be used", [reference.text]),
		"at": reference.at,
	}
}

deny contains violation if {
	some pattern in _denied
	some slug in references.slugs
	_fits(slug, pattern)
	some reference in input.references
	reference.slug == slug
	not reference.local
	violation := {
		"message": sprintf("%v is forbidden (%v)", [reference.text, pattern]),
		"at": reference.at,
	}
}

_is_allowed(slug) if {
	some pattern in _allowed
	_fits(slug, pattern)
}

_fits(slug, pattern) if slug == pattern

_fits(slug, pattern) if {
	endswith(pattern, "*")
	startswith(slug, trim_suffix(pattern, "*"))
}

# A rule of its own: looked up once, and not for every reference.
_allowed := data.policyd.settings.dependencies.forbidden_component.allowed

_denied := data.policyd.settings.dependencies.forbidden_component.denied
