# METADATA
# title: Strangers do not start stages that have powers
# description: >-
#   `pull_request_target`, `workflow_run` and `issue_comment` run with the secrets and the writing token of the repository
#   although anyone can cause them. They can be used safely, but every later change of the workflow has to keep it so.
#   `issue_comment` counts where a stage with powers asks nobody first. Not seen: settings of the repository.
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

import data.policyd.lib.trust

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

deny contains violation if {
	some trigger in input.triggers
	trigger.event == "issue_comment"
	count(_unguarded) > 0
	violation := {
		"message": sprintf("%s lets strangers start %s with the repository's powers", [trigger.event, concat(", ", _unguarded)]),
		"at": trigger.at,
		"confidence": "low",
	}
}

_unguarded contains stage.name if {
	some stage in input.stages
	stage.untrusted
	stage.privileged
	guards := array.concat(stage.guards, object.get(stage, "asks", []))
	not trust.is_guarded(guards)
}
