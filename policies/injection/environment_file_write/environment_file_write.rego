# METADATA
# title: Strangers do not write the environment of later steps
# description: >-
#   What a step writes to GITHUB_ENV or GITHUB_PATH is set for all steps after it: a stranger's line there becomes
#   LD_PRELOAD or a program of their choice. Not seen: a write by a program, not by the script itself.
# custom:
#   id: injection.environment_file_write
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github]
#   remediation: >-
#     Hand single values on as step outputs and use them through a variable; write only fixed text to these files.
package policyd.injection.environment_file_write

deny contains violation if {
	some command in input.commands
	file := _file(command)
	command.untrusted
	violation := {
		"message": sprintf("text of a stranger is written to %v", [file]),
		"at": command.at,
	}
}

# Where strangers start a privileged stage, anything computed may come from them.
deny contains violation if {
	some command in input.commands
	file := _file(command)
	not command.untrusted
	regex.match("\\$\\(|`", command.text)
	some stage in input.stages
	stage.name == command.stage
	stage.untrusted
	stage.privileged
	violation := {
		"message": sprintf("computed text is written to %v in a privileged stage that strangers can start", [file]),
		"at": command.at,
		"confidence": "medium",
	}
}

_file(command) := "GITHUB_ENV" if {
	some file in _written(command)
	regex.match(`^\$(env:)?\{?GITHUB_ENV\}?$`, file)
}

_file(command) := "GITHUB_PATH" if {
	some file in _written(command)
	regex.match(`^\$(env:)?\{?GITHUB_PATH\}?$`, file)
}

_written(command) := command.writes_to if command.program != "tee"

_written(command) := array.concat(command.writes_to, command.argv) if command.program == "tee"
