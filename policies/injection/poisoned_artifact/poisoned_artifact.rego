# METADATA
# title: Privileged stages run no file of a stranger's run
# description: >-
#   An artifact of a pull request's run holds what the pull request made. A stage with secrets or a token that writes
#   that unpacks it over its working tree, or runs what lies in it, runs the stranger's files. Seen: downloads of other
#   runs, and of jobs of this run that had strangers' code. Not seen: files that are only read, unless their text becomes
#   part of a script (injection.untrusted_expression).
# custom:
#   id: injection.poisoned_artifact
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4, OWASP-CICD-SEC-9, NIST-SSDF-PO.5.1]
#   applies_to: [github, gitlab, azure]
#   remediation: >-
#     Unpack what comes from a stranger's run into a new folder outside the working tree (GitHub:
#     `${{ runner.temp }}`), run nothing of it, and check the few values you read from it.
package policyd.injection.poisoned_artifact

import data.policyd.lib.trust

deny contains violation if {
	some use in input.artifacts
	use.direction == "download"
	use.untrusted
	some stage in input.stages
	stage.name == use.stage
	_has_powers(stage)
	guards := stage.guards
	not trust.is_guarded(guards)
	some ran in _ran(use)
	violation := {
		"message": sprintf("files of a stranger's run come into %s, which has secrets or a token that writes, %v", [stage.name, ran.text]),
		"at": use.at,
		"related": [{"message": "what runs of them", "at": ran.at}],
	}
}

_has_powers(stage) if stage.privileged

# Nobody outside starts it, and yet their files are in it.
_has_powers(stage) if {
	not stage.untrusted
	stage.has_secrets
}

_has_powers(stage) if {
	not stage.untrusted
	stage.writes
}

# Unpacked over the tree: any file of it can be theirs.
_ran(use) := [{"text": sprintf("and runs %v", [use.runs]), "at": use.runs_at}] if {
	use.into_workspace
	use.runs != ""
}

# In a folder of their own: only what is run from there.
_ran(use) := found if {
	not use.into_workspace
	found := [{"text": sprintf("and runs %s", [command.text]), "at": command.at} |
		some command in input.commands
		command.stage == use.stage
		_runs_from(command, use)
	]
}

_runs_from(command, use) if _lies_in(command.argv[0], use.paths)

_runs_from(command, use) if {
	command.program in _interpreters
	some word in command.argv
	_lies_in(word, use.paths)
}

_runs_from(command, use) if {
	command.program in {"cd", "pushd"}
	use.runs != ""
	some word in command.argv
	some path in use.paths
	_plain(word) == _plain(path)
}

_interpreters := {
	".", "bash", "dash", "java", "node", "perl", "php", "powershell", "pwsh", "python", "python3", "ruby", "sh", "source",
	"zsh",
}

_lies_in(word, paths) if {
	some path in paths
	startswith(_plain(word), sprintf("%v/", [_plain(path)]))
}

_plain(path) := trim_prefix(trim_suffix(path, "/"), "./")
