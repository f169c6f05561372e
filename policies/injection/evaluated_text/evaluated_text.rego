# METADATA
# title: Text from variables is not run as code
# description: >-
#   `eval "$X"` and `sh -c "$X"` run whatever the variable holds, so whoever can set it decides what the stage does, and
#   no review of the pipeline can say what that is. `eval "$(tool env)"` is left out.
# custom:
#   id: injection.evaluated_text
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   confidence: medium
#   remediation: Write the command out, and let the variable be one of its arguments.
package policyd.injection.evaluated_text

import data.policyd.lib.shell

deny contains violation if {
	some command in input.commands
	name := _runs(command)
	violation := {
		"message": sprintf("%s runs what the variable %v holds", [command.program, name]),
		"at": command.at,
	}
}

_runs(command) := command.argv[1] if {
	command.program == "eval"
	count(command.argv) == 2
	_is_variable(command.argv[1])
}

_runs(command) := command.argv[i + 1] if {
	command.program in (shell.shells | {"python", "python3", "perl", "ruby", "node"})
	some i, word in command.argv
	i > 0
	regex.match(`^(-[a-z]*c|-e|--eval)$`, word)
	_is_variable(command.argv[i + 1])
	not _again_after(command, i)
}

# Only the first such option counts: what follows belongs to it.
_again_after(command, i) if {
	some j, word in command.argv
	j > 0
	j < i
	regex.match(`^(-[a-z]*c|-e|--eval)$`, word)
}

_is_variable(word) if regex.match(`^\$(\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*|[@*0-9])$`, word)
