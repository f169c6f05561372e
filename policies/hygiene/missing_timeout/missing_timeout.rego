# METADATA
# title: Every stage has an end
# description: >-
#   A stage without a time limit of its own runs as long as the system lets it, six hours on GitHub: time for whoever
#   got in, and for a hanging build to hold up others. Seen are stages without a limit where the system's own is long,
#   limits above what is allowed, and a limit of 0, which Azure and Tekton take for none. Not seen: limits made by an expression.
# custom:
#   id: hygiene.missing_timeout
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7]
#   settings:
#     max_minutes:
#       type: integer
#       default: 60
#       tighter: lower
#       description: How many minutes a stage without a limit of its own may take.
#     max_stated_minutes:
#       type: integer
#       default: 7200
#       tighter: lower
#       description: How many minutes a limit may name; the default is five days, the longest that GitHub knows.
#   remediation: "Set a time limit (`timeout-minutes`, `timeout`) a little above what the stage needs."
package policyd.hygiene.missing_timeout

_settings := data.policyd.settings.hygiene.missing_timeout

deny contains violation if {
	some stage in input.stages
	stage.explicit_timeout == false
	_runs_long(stage)
	violation := {"message": sprintf("%s has no time limit of its own", [stage.name]), "at": stage.at}
}

deny contains violation if {
	some stage in input.stages
	stage.explicit_timeout
	is_number(stage.timeout_seconds)
	stage.timeout_seconds > _settings.max_stated_minutes * 60
	violation := {
		"message": sprintf("%s may run longer than %v minutes", [stage.name, _settings.max_stated_minutes]),
		"at": stage.at,
	}
}

_runs_long(stage) if is_null(stage.timeout_seconds)

_runs_long(stage) if {
	is_number(stage.timeout_seconds)
	stage.timeout_seconds > _settings.max_minutes * 60
}
