# METADATA
# title: What the runner can do itself needs no action
# description: >-
#   Each action is code of somebody else with the rights of the stage; where the runner brings a program that does the same,
#   nobody has to be trusted for it. Seen are actions in the list that comes with the policies (`data/components.json`). Not
#   seen: whether a runner of your own has the program.
# custom:
#   id: dependencies.superfluous_component
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-8]
#   applies_to: [github]
#   remediation: Use the program in a script in place of the action.
package policyd.dependencies.superfluous_component

import data.policyd.lib.reference as references

deny contains violation if {
	some slug in references.slugs
	instead := _superfluous[slug]
	some reference in input.references
	reference.slug == slug
	reference.kind == "action"
	violation := {
		"message": sprintf("the runner can do what %v does: %v", [reference.text, instead]),
		"at": reference.at,
	}
}

# A rule of its own: looked up once, and not for every reference.
_superfluous := data.policyd.known.components.superfluous
