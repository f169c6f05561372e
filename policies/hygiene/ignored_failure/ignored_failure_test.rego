package policyd.hygiene.ignored_failure_test

import data.policyd.hygiene.ignored_failure

command(argv, stage, index) := {
	"text": concat(" ", argv), "program": argv[0], "argv": argv, "pipes_to": "", "shell": "bash", "untrusted": false,
	"at": ["commands", index], "stage": stage,
}

commands(first, second, stage) := [command(first, "test", 0), command(second, stage, 1)]

denied(first, second) if {
	count(ignored_failure.deny) == 1 with input.commands as commands(first, second, "test")
}

fine(first, second) if {
	count(ignored_failure.deny) == 0 with input.commands as commands(first, second, "test")
}

test_ignored_tests_are_denied if {
	found := ignored_failure.deny with input.commands as commands(["pytest", "-q"], ["true"], "test")
	found == {{
		"message": "a failure of pytest is ignored",
		"at": ["commands", 0],
		"related": [{"message": "this succeeds in its place", "at": ["commands", 1]}],
	}}
}

test_ignored_audit_is_denied if denied(["npm", "audit"], [":"])

test_ignored_module_is_denied if denied(["python3", "-m", "pytest"], ["exit", "0"])

test_other_command_may_be_ignored if fine(["rm", "cache"], ["true"])

test_tests_that_count_are_fine if fine(["pytest"], ["echo", "done"])

test_program_with_arguments_is_not_nothing if fine(["pytest"], ["true", "story"])

test_next_stage_is_another if {
	count(ignored_failure.deny) == 0 with input.commands as commands(["pytest"], ["true"], "deploy")
}

test_last_command_is_fine if {
	count(ignored_failure.deny) == 0 with input.commands as [command(["pytest"], "test", 0)]
}

test_no_command_is_fine if {
	count(ignored_failure.deny) == 0 with input.commands as []
}
