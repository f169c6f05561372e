# METADATA
# title: Strangers do not write the environment of later steps
# description: >-
#   What a step writes to GITHUB_ENV or GITHUB_PATH, or sets with Azure's task.setvariable, holds for all steps after it:
#   a stranger's line there becomes LD_PRELOAD or a program of their choice. A value between two lines that
#   nobody can foresee is left out. Not seen: a write by a program, not by the script itself.
# custom:
#   id: injection.environment_file_write
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github, azure]
#   remediation: >-
#     Hand single values on as step outputs and use them through a variable; set only fixed text for later steps.
package policyd.injection.environment_file_write

deny contains violation if {
	some effect in input.effects
	effect.kind == "environment-write"
	effect.untrusted
	violation := {
		"message": sprintf("text of a stranger is written to %s", [effect.detail]),
		"at": effect.at,
	}
}

# Where strangers start a privileged stage, anything computed may come from them.
deny contains violation if {
	some effect in input.effects
	effect.kind == "environment-write"
	effect.computed
	not effect.untrusted
	some stage in input.stages
	stage.name == effect.stage
	stage.untrusted
	stage.privileged
	violation := {
		"message": sprintf("computed text is written to %s in a privileged stage that strangers can start", [effect.detail]),
		"at": effect.at,
		"confidence": "medium",
	}
}
