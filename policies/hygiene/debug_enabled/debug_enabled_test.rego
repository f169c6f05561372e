package policyd.hygiene.debug_enabled_test

import data.policyd.hygiene.debug_enabled

empty := {"variables": [], "commands": [], "secrets": []}

variable(name, value) := object.union(empty, {"variables": [{
	"name": name, "value": value, "literal": true, "origin": "environment", "at": ["variables", 0], "stage": "",
}]})

command(argv, secrets) := object.union(empty, {
	"commands": [{
		"text": concat(" ", argv), "program": argv[0], "argv": argv, "pipes_to": "", "shell": "bash",
		"untrusted": false, "at": ["commands", 0], "stage": "build",
	}],
	"secrets": secrets,
})

secret(stage) := {
	"name": "TOKEN", "all": false, "inherited": false, "sink": "environment", "at": ["secrets", 0], "stage": stage,
}

denied(document) if {
	count(debug_enabled.deny) == 1 with input as document
}

fine(document) if {
	count(debug_enabled.deny) == 0 with input as document
}

test_debug_variable_is_denied if denied(variable("ACTIONS_STEP_DEBUG", "true"))

test_trace_with_secrets_is_denied if denied(command(["set", "-eux"], [secret("build")]))

test_trace_by_option_is_denied if denied(command(["bash", "-x", "run.sh"], [secret("")]))

test_debug_switched_off_is_fine if fine(variable("ACTIONS_STEP_DEBUG", "false"))

test_trace_without_secrets_is_fine if fine(command(["set", "-x"], []))

test_trace_beside_secrets_of_another_stage_is_fine if fine(command(["set", "-x"], [secret("deploy")]))

test_no_trace_is_fine if fine(command(["set", "-eu"], [secret("build")]))

test_set_alone_is_fine if fine(command(["set"], [secret("build")]))

test_nothing_is_fine if fine(empty)
