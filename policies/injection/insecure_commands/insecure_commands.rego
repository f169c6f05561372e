# METADATA
# title: Log lines do not set the environment
# description: >-
#   ACTIONS_ALLOW_UNSECURE_COMMANDS lets any line that a step prints set variables and the path of later steps. Printing
#   a stranger's text, such as a commit message, is then enough to run their code.
# custom:
#   id: injection.insecure_commands
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github]
#   remediation: Remove the variable, and write to the files GITHUB_ENV and GITHUB_PATH where a step has to.
package policyd.injection.insecure_commands

import data.policyd.lib.shell

deny contains violation if {
	some variable in input.variables
	variable.name == "ACTIONS_ALLOW_UNSECURE_COMMANDS"
	shell.is_on(variable.value)
	violation := {"message": "log lines may set the environment of later steps", "at": variable.at}
}

deny contains violation if {
	some command in input.commands
	some assignment in shell.assignments(command)
	assignment[0] == "ACTIONS_ALLOW_UNSECURE_COMMANDS"
	shell.is_on(assignment[1])
	violation := {"message": "log lines may set the environment of later steps", "at": command.at}
}
