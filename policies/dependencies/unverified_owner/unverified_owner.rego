# METADATA
# title: Actions come from owners somebody knows
# description: >-
#   An action of one person without a name is looked at by few, and its account is taken over more easily than that of an
#   organisation many depend on. Seen are actions whose owner is not in the list that comes with the policies
#   (`data/components.json`); whether an owner is to be trusted, the list can't know. Not seen: images and packages.
# custom:
#   id: dependencies.unverified_owner
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-8]
#   applies_to: [github]
#   confidence: low
#   settings:
#     known_owners:
#       type: strings
#       default: []
#       tighter: subset
#       description: Further owners, in lower case, that you have looked at, such as your own organisation.
#   remediation: Look at who stands behind the action; then name the owner in settings, copy the action, or do without.
package policyd.dependencies.unverified_owner

import data.policyd.lib.reference as references

deny contains violation if {
	some owner in _strangers
	some reference in input.references
	reference.kind == "action"
	not reference.local
	startswith(reference.slug, concat("", [owner, "/"]))
	violation := {
		"message": sprintf("%v is of %v, who is not widely known", [reference.text, owner]),
		"at": reference.at,
	}
}

# Owners once each: there are far fewer of them than references.
_strangers := {owner |
	known := data.policyd.known.components.owners
	chosen := data.policyd.settings.dependencies.unverified_owner.known_owners
	some owner in _owners
	owner != ""
	not owner in known
	not owner in chosen
}

_owners := {owner |
	some slug in references.slugs
	parts := split(slug, "/")
	owner := parts[0]
}
