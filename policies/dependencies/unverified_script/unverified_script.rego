# METADATA
# title: Nothing downloaded is run unseen
# description: >-
#   `curl … | sh` runs whatever the server, or whoever stands between, sends at that moment, and leaves nothing to look
#   at afterwards. Not seen: a script that is saved to a file first and run without a look at its digest.
# custom:
#   id: dependencies.unverified_script
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-9]
#   remediation: >-
#     Download to a file, compare its digest with one written in the pipeline (`sha256sum --check`), then run it; or
#     install the tool from a lock file.
package policyd.dependencies.unverified_script

import data.policyd.lib.shell

deny contains violation if {
	some i, command in input.commands
	command.program in shell.fetchers
	_runs_it(i, command)
	violation := {
		"message": sprintf("what %s downloads is run by %s without being verified", [command.program, command.pipes_to]),
		"at": command.at,
	}
}

_runs_it(_, command) if command.pipes_to in shell.shells

_runs_it(_, command) if command.pipes_to in {"eval", "source", ".", "pwsh", "powershell", "iex"}

# Other interpreters read documents as often as code: `| python3 -m json.tool`. They run it when they are given no program
# of their own.
_runs_it(i, command) if {
	command.pipes_to in {"python", "python2", "python3", "perl", "ruby", "node", "php"}
	some next in [input.commands[i + 1], input.commands[i + 2]]
	next.program == command.pipes_to
	_reads_program_from_input(next)
}

_runs_it(i, command) if {
	command.pipes_to in {"python", "python2", "python3", "perl", "ruby", "node", "php"}
	next := input.commands[i + 1]
	next.program == command.pipes_to
	_reads_program_from_input(next)
}

_reads_program_from_input(command) if count(command.argv) == 1

_reads_program_from_input(command) if command.argv[1] == "-"
