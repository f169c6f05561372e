# METADATA
# title: Conditions compare whole names
# description: >-
#   `contains('refs/heads/main refs/heads/release', github.ref)`, or a pattern without `^` and `$`, also holds for a name
#   that only has the right letters in it: `refs/heads/mai` is part of the first. Who may choose the name of a branch
#   passes, as `feature/main-x` does where Azure's `contains(variables['Build.SourceBranch'], 'main')` is asked for. Not
#   seen: lists that come from elsewhere.
# custom:
#   id: flow.substring_condition
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   applies_to: [github, gitlab, azure]
#   remediation: >-
#     Look for the name in a list (GitHub: `contains(fromJSON('["refs/heads/main"]'), github.ref)`), compare with `==`, or
#     give the pattern a beginning and an end (`/^release-[0-9]+$/`).
package policyd.flow.substring_condition

deny contains violation if {
	some condition in input.conditions
	condition.substring
	_matters(condition)
	violation := {
		"message": sprintf("the condition %s also holds for names that only contain the right one, or are part of it", [condition.text]),
		"at": condition.at,
	}
}

# A pattern without ends is often meant so: in GitLab it matters where the stage has something to lose.
_matters(_) if input.pipeline.dialect != "gitlab"

_matters(condition) if {
	some stage in input.stages
	stage.name == condition.stage
	some purpose in stage.purposes
	purpose in {"deploy", "publish", "sign"}
}
