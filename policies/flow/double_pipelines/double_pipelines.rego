# METADATA
# title: One push starts a job once
# description: >-
#   A job that is part of branch pipelines and of merge request pipelines runs twice for each push to a branch with an
#   open merge request: two results for one commit, and the one with less access can be the one that counts. Not seen:
#   rules that depend on changed files.
# custom:
#   id: flow.double_pipelines
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   applies_to: [gitlab]
#   remediation: >-
#     Add `workflow: rules` that keep one of both: `- if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS` with `when: never`.
package policyd.flow.double_pipelines

deny contains violation if {
	some stage in input.stages
	stage.runs_twice
	violation := {
		"message": sprintf("a push starts %s for the branch and again for its merge request", [stage.name]),
		"at": stage.at,
	}
}
