# METADATA
# title: No stranger's text runs in another job
# description: >-
#   A job reads a title, a branch name or a file that a stranger wrote, and sets it as an output; another job, often one
#   with more powers, pastes that into its script. Seen: outputs and variables handed from job to job within a pipeline,
#   where they become part of a script or are evaluated by one. Not seen: what programs hand on.
# custom:
#   id: injection.untrusted_flow
#   severity: critical
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     In the job that uses it, put the output into an environment variable and use that, in quotes; in the job that sets
#     it, let only the characters through that the value needs.
package policyd.injection.untrusted_flow

deny contains violation if {
	some flow in input.flows
	flow.kind in {"output", "variable"}
	flow.sink == "script"
	violation := {
		"message": sprintf("%s, which a stranger can write, comes from %s as %s and becomes part of a script of %s", [flow.value, flow.stage, flow.name, flow.into]),
		"at": _place(flow),
		"related": [{"message": "where it is handed on", "at": flow.at}],
	}
}

_place(flow) := flow.lands if count(flow.lands) > 0

_place(flow) := flow.at if count(flow.lands) == 0
