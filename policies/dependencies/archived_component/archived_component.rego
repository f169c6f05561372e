# METADATA
# title: Components are still maintained
# description: >-
#   Nobody mends what is found in an archived repository or a deprecated image, and what it is built on ages with it. Seen are
#   actions, reusable workflows and images in the list that comes with the policies (`data/components.json`). Not seen:
#   what was archived since, and what is left alone without being archived.
# custom:
#   id: dependencies.archived_component
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.4]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: Use what took its place, or run the tool it wraps yourself.
package policyd.dependencies.archived_component

import data.policyd.lib.reference as references

deny contains violation if {
	some kind, of_kind in _archived
	some slug in references.slugs
	instead := of_kind[slug]
	some reference in input.references
	reference.slug == slug
	_list[reference.kind] == kind
	not reference.local
	violation := {
		"message": _message(reference.text, instead),
		"at": reference.at,
	}
}

# Reusable workflows are listed among actions, by the repository they are in.
_list := {"action": "action", "workflow": "action", "image": "image"}

_message(text, "") := sprintf("%v is archived", [text])

_message(text, instead) := sprintf("%v is archived; %v took its place", [text, instead]) if instead != ""

# A rule of its own: looked up once, and not for every reference.
_archived := data.policyd.known.components.archived
