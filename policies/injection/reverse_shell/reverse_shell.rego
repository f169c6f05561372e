# METADATA
# title: No command opens a shell to somebody else
# description: >-
#   A shell whose input and output is a network connection hands the machine, its secrets and what it builds to
#   whoever is at the other end.
# custom:
#   id: injection.reverse_shell
#   severity: critical
#   gate: pipeline
#   level: hard
#   controls: [OWASP-CICD-SEC-4]
#   remediation: >-
#     Remove the command and treat the pipeline's secrets as known to others. To look into a running stage, run it
#     again on a machine without secrets.
package policyd.injection.reverse_shell

deny contains violation if {
	some command in input.commands
	_opens_shell(command)
	violation := {
		"message": sprintf("%s connects a shell to the network", [command.program]),
		"at": command.at,
	}
}

_opens_shell(command) if command.program in {"nc", "ncat", "netcat"}
