# METADATA
# title: Strangers do not start stages that have powers
# description: >-
#   `pull_request_target` and `workflow_run` run with the secrets and the writing token of the repository although
#   anyone can cause them. They can be used safely, but every later change of the workflow has to keep it so.
# custom:
#   id: flow.dangerous_trigger
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4, OWASP-CICD-SEC-1]
#   applies_to: [github]
#   confidence: medium
#   remediation: >-
#     Use `pull_request` for what builds or tests a contribution. Where the powers are needed (labels, comments), check
#     nothing out, run no file of the contribution, and grant each job only the permission it uses.
package policyd.flow.dangerous_trigger

deny contains violation if {
	some trigger in input.triggers
	trigger.privileged
	trigger.trust == "untrusted"
	trigger.event in {"pull_request_target", "workflow_run"}
	violation := {
		"message": sprintf("%s lets strangers start this with the repository's powers", [trigger.event]),
		"at": trigger.at,
	}
}
