package policyd.injection.deprecated_command_test

import data.policyd.injection.deprecated_command

command(text) := {
	"text": text, "program": "echo", "argv": ["echo"], "pipes_to": "", "shell": "bash", "untrusted": false,
	"at": ["commands", 0], "stage": "build",
}

test_withdrawn_command_is_denied if {
	found := deprecated_command.deny with input.commands as [command("echo \"::set-output name=v::1\"")]
	found == {{"message": "echo uses the withdrawn workflow command set-output", "at": ["commands", 0]}}
}

test_current_command_is_fine if {
	count(deprecated_command.deny) == 0 with input.commands as [command("echo \"::add-mask::$X\"")]
}

test_no_command_is_fine if {
	count(deprecated_command.deny) == 0 with input.commands as []
}
