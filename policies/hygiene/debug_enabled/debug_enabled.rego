# METADATA
# title: Debug logs are not left on
# description: >-
#   Debug logging prints variables, requests and file contents, secrets in other forms than the masked one among them.
# custom:
#   id: hygiene.debug_enabled
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-10, OWASP-CICD-SEC-6]
#   remediation: Remove the variable, and set it for one run where it is needed.
package policyd.hygiene.debug_enabled

import data.policyd.lib.shell

deny contains violation if {
	some variable in input.variables
	variable.name in {
		"ACTIONS_STEP_DEBUG", "ACTIONS_RUNNER_DEBUG", "CI_DEBUG_TRACE", "CI_DEBUG_SERVICES", "SYSTEM_DEBUG",
		"GIT_CURL_VERBOSE", "GIT_TRACE_CURL",
	}
	shell.is_on(variable.value)
	violation := {"message": sprintf("%s writes more to the log than may be read there", [variable.name]), "at": variable.at}
}

# A traced script prints every command with its variables filled in.
deny contains violation if {
	some command in input.commands
	_traces(command)
	some secret in input.secrets
	secret.stage in {command.stage, ""}
	violation := {"message": "the script prints its commands, secrets filled in", "at": command.at}
}

_traces(command) if {
	command.program == "set"
	regex.match(`^-[a-z]*x`, command.argv[1])
}

_traces(command) if {
	command.program in shell.shells
	regex.match(`^-[a-z]*x`, command.argv[1])
}
