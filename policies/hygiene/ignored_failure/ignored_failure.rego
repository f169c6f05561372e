# METADATA
# title: A failing test or scan fails its stage
# description: >-
#   `pytest || true` lets a stage succeed whatever the tests say, so what comes after relies on a check that can't fail.
#   Seen for well-known programs that test, scan or verify, and for settings that let such a step fail
#   (`continueOnError`, `allow_failure`, `onError`). Not seen: failures ignored in scripts and Makefiles.
# custom:
#   id: hygiene.ignored_failure
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1, NIST-SSDF-PW.8.2]
#   confidence: medium
#   remediation: Let the command fail. Exclude the one test or finding that is known, with the reason beside it.
package policyd.hygiene.ignored_failure

deny contains violation if {
	some effect in input.effects
	effect.kind == "ignores-failure"
	effect.program != ""
	violation := {
		"message": sprintf("a failure of %s is ignored: %s", [effect.program, effect.detail]),
		"at": effect.at,
	}
}

# A setting of a whole stage or step: it matters where something is tested or scanned.
deny contains violation if {
	some effect in input.effects
	effect.kind == "ignores-failure"
	effect.program == ""
	stage := effect.stage
	stage in _checking
	violation := {"message": sprintf("a failure of %s is ignored: %s", [stage, effect.text]), "at": effect.at}
}

_checking contains effect.stage if {
	some effect in input.effects
	effect.kind in {"test", "scan"}
}
