package policyd.injection.insecure_commands_test

import data.policyd.injection.insecure_commands

variable(name, value) := {
	"commands": [],
	"variables": [{
		"name": name, "value": value, "literal": true, "origin": "environment", "at": ["variables", 0], "stage": "",
	}],
}

command(text) := {
	"variables": [],
	"commands": [{
		"text": text, "program": "echo", "argv": ["echo"], "pipes_to": "", "shell": "bash", "untrusted": false,
		"at": ["commands", 0], "stage": "build",
	}],
}

test_variable_is_denied if {
	count(insecure_commands.deny) == 1 with input as variable("ACTIONS_ALLOW_UNSECURE_COMMANDS", "true")
}

test_write_for_later_steps_is_denied if {
	count(insecure_commands.deny) == 1 with input as command("echo ACTIONS_ALLOW_UNSECURE_COMMANDS=true >> $GITHUB_ENV")
}

test_switched_off_is_fine if {
	count(insecure_commands.deny) == 0 with input as variable("ACTIONS_ALLOW_UNSECURE_COMMANDS", "false")
}

test_other_variable_is_fine if {
	count(insecure_commands.deny) == 0 with input as variable("CI", "true")
}

test_nothing_is_fine if {
	count(insecure_commands.deny) == 0 with input as {"commands": [], "variables": []}
}
