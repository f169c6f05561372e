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
	use.runs != ""
	violation := {
		"message": sprintf("files of a stranger's run come into %s, which has secrets or a token that writes, and runs %v", [stage.name, use.runs]),
		"at": use.at,
		"related": [{"message": "what runs of them", "at": use.runs_at}],
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
