# METADATA
# title: A failing test or scan fails its stage
# description: >-
#   `pytest || true` lets a stage succeed whatever the tests say, so what comes after relies on a check that can't fail.
#   Seen for well-known programs that test, scan or verify; not seen are failures ignored in scripts and Makefiles.
# custom:
#   id: hygiene.ignored_failure
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   confidence: medium
#   remediation: Let the command fail. Exclude the one test or finding that is known, with the reason beside it.
package policyd.hygiene.ignored_failure

deny contains violation if {
	some effect in input.effects
	effect.kind == "ignores-failure"
	violation := {
		"message": sprintf("a failure of %s is ignored: %s", [effect.program, effect.detail]),
		"at": effect.at,
	}
}
