# METADATA
# title: Builds take no parameters
# description: >-
#   What who starts a pipeline by hand may set changes what it makes, and neither the source nor its review shows it. SLSA
#   once asked for builds without parameters; whoever follows it wants none. Not seen: what the parameters change.
# custom:
#   id: flow.unconstrained_dispatch
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   applies_to: [github, gitlab, azure]
#   remediation: >-
#     Keep what decides the outcome in the repository, and let who starts the pipeline choose a commit or tag only.
package policyd.flow.unconstrained_dispatch

deny contains violation if {
	some trigger in input.triggers
	count(trigger.parameters) > 0
	trigger.event in {"workflow_dispatch", "web", "manual"}
	violation := {
		"message": sprintf("who starts this by hand sets %s", [concat(", ", trigger.parameters)]),
		"at": trigger.at,
	}
}
