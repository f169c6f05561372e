# METADATA
# title: Workflows and actions have a name
# description: >-
#   A run without a name is listed under its file, and nobody tells it from others in checks and logs. Seen are workflows
#   and actions without `name`. Not seen: whether the name says anything.
# custom:
#   id: hygiene.anonymous_definition
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-10]
#   applies_to: [github]
#   remediation: Give it a `name` that says what it does in the list of runs.
package policyd.hygiene.anonymous_definition

deny contains violation if {
	input.pipeline.kind in {"workflow", "action"}
	object.get(input.document, "name", null) == null
	violation := {"message": sprintf("this %s has no name", [input.pipeline.kind]), "at": ["document"]}
}
