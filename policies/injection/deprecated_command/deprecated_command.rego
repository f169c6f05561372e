# METADATA
# title: No workflow command that was withdrawn
# description: >-
#   `::set-env`, `::add-path`, `::set-output` and `::save-state` read values from the log, where other programs write
#   too. They are switched off or about to be.
# custom:
#   id: injection.deprecated_command
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github]
#   remediation: Write to the file that GITHUB_ENV, GITHUB_PATH, GITHUB_OUTPUT or GITHUB_STATE names.
package policyd.injection.deprecated_command

deny contains violation if {
	some effect in input.effects
	effect.kind == "deprecated-command"
	violation := {
		"message": sprintf("%s uses the withdrawn workflow command %s", [effect.program, effect.detail]),
		"at": effect.at,
	}
}
