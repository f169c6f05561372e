# METADATA
# title: Strangers' code does not run on own machines
# description: >-
#   A self-hosted runner usually lives on after a stage. Code of anyone who can open a pull request then stays on the
#   machine, inside the network it stands in, and sees the next stages. Seen are stages that strangers can start on runners
#   with labels, tags or pools of one's own; the confidence is low where a person lets each run pass, and on GitLab, where a
#   fork's pipeline runs on the fork's runners until a member starts it here; there only tags count that name a machine
#   of one's own, and no job that is started by hand. Not seen: whether the runner is thrown away.
# custom:
#   id: isolation.self_hosted_runner
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, OWASP-CICD-SEC-4, NIST-SSDF-PO.5.1]
#   applies_to: [github, gitlab, azure]
#   confidence: medium
#   settings:
#     disposable_labels:
#       type: strings
#       default: []
#       tighter: subset
#       description: Labels of own runners that are thrown away after one stage.
#   remediation: Use hosted or one-time runners for what strangers can start, or start it only after an approval.
package policyd.isolation.self_hosted_runner

import data.policyd.lib.trust

deny contains violation if {
	some stage in input.stages
	stage.self_hosted
	stage.untrusted
	guards := stage.guards
	not trust.is_ours(guards)
	not _is_started_by_a_member(guards)
	not _is_disposable(stage)
	violation := {
		"message": sprintf("anyone can start %s on a machine of your own", [stage.name]),
		"at": _place(stage),
		"confidence": _confidence(guards),
	}
}

# Where the runner is chosen, else where the stage begins.
_place(stage) := stage.runner_at if _has_place(stage)

_place(stage) := stage.at if not _has_place(stage)

_has_place(stage) if count(object.get(stage, "runner_at", [])) > 0

# In GitLab only members can start what is started by hand.
_is_started_by_a_member(guards) if {
	input.pipeline.dialect == "gitlab"
	trust.is_let_pass(guards)
}

_is_disposable(stage) if {
	some label in stage.runner
	label in data.policyd.settings.isolation.self_hosted_runner.disposable_labels
}

_confidence(guards) := "low" if _is_doubtful(guards)

_confidence(guards) := "medium" if not _is_doubtful(guards)

_is_doubtful(guards) if trust.is_let_pass(guards)

_is_doubtful(_) if input.pipeline.dialect == "gitlab"
