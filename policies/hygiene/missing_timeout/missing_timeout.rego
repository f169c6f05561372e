# METADATA
# title: Every stage has an end
# description: >-
#   A stage without a time limit of its own runs as long as the system lets it, six hours on GitHub: time for whoever
#   got in, and for a hanging build to hold up others.
# custom:
#   id: hygiene.missing_timeout
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7]
#   remediation: "Set a time limit (`timeout-minutes`, `timeout`) a little above what the stage needs."
package policyd.hygiene.missing_timeout

deny contains violation if {
	some stage in input.stages
	stage.explicit_timeout == false
	_runs_long(stage)
	violation := {"message": sprintf("%s has no time limit of its own", [stage.name]), "at": stage.at}
}

_runs_long(stage) if is_null(stage.timeout_seconds)

_runs_long(stage) if {
	is_number(stage.timeout_seconds)
	stage.timeout_seconds > 3600
}
