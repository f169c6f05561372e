# METADATA
# title: No secret is written to the log
# description: >-
#   Logs are read by more people than secrets are meant for, and masking fails as soon as a value is split, encoded or
#   part of a structure. Seen are echo and printf of a secret and a listing of the whole environment in a stage that
#   has secrets; not seen is what programs print on their own.
# custom:
#   id: credentials.secret_in_log
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6, OWASP-CICD-SEC-10]
#   applies_to: [github]
#   remediation: Hand the secret to the program that needs it by its standard input or a variable, and print nothing.
package policyd.credentials.secret_in_log

deny contains violation if {
	some command in input.commands
	_goes_to_the_log(command)
	command.program in {"echo", "printf"}
	regex.match(`\$\{\{[^}]*secrets[.\[]`, command.text)
	violation := {"message": sprintf("%s writes a secret to the log", [command.program]), "at": command.at}
}

deny contains violation if {
	some command in input.commands
	_goes_to_the_log(command)
	command.program in {"echo", "printf"}
	some word in command.argv
	some found in regex.find_all_string_submatch_n(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`, word, -1)
	some place in [[command.stage, found[1]], ["", found[1]]]
	place in _secret_variables
	violation := {
		"message": sprintf("%s writes the secret in %s to the log", [command.program, found[1]]),
		"at": command.at,
	}
}

deny contains violation if {
	some command in input.commands
	_goes_to_the_log(command)
	_lists_environment(command)
	some variable in _secret_variables
	variable[0] in {command.stage, ""}
	violation := {
		"message": sprintf("%s writes the environment, which holds secrets, to the log", [command.program]),
		"at": command.at,
		"confidence": "medium",
	}
}

# [stage, name] of every variable that is filled from a secret.
_secret_variables contains [variable.stage, variable.name] if {
	some variable in input.variables
	variable.origin == "environment"
	regex.match(`\$\{\{[^}]*secrets[.\[]`, variable.value)
}

_lists_environment(command) if {
	command.program in {"env", "printenv", "set", "export"}
	count(command.argv) == 1
}

_lists_environment(command) if command.argv == ["export", "-p"]

_goes_to_the_log(command) if {
	command.pipes_to == ""
	count(command.writes_to) == 0
}
