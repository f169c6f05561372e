package policyd.injection.evaluated_text_test

import data.policyd.injection.evaluated_text

command(argv) := {
	"text": concat(" ", argv), "program": argv[0], "argv": argv, "pipes_to": "", "shell": "bash", "untrusted": false,
	"at": ["commands", 0], "stage": "build",
}

denied(argv) if {
	count(evaluated_text.deny) == 1 with input.commands as [command(argv)]
}

fine(argv) if {
	count(evaluated_text.deny) == 0 with input.commands as [command(argv)]
}

test_eval_of_a_variable_is_denied if {
	found := evaluated_text.deny with input.commands as [command(["eval", "$CMD"])]
	found == {{"message": "eval runs what the variable $CMD holds", "at": ["commands", 0]}}
}

test_shell_given_a_variable_is_denied if denied(["bash", "-euc", "${SCRIPT}"])

test_interpreter_given_a_variable_is_denied if denied(["python3", "-c", "$CODE"])

test_eval_of_a_tool_is_fine if fine(["eval", "$(ssh-agent -s)"])

test_written_out_script_is_fine if fine(["bash", "-c", "make \"$TARGET\""])

test_argument_of_a_written_script_is_fine if fine(["bash", "-c", "exec \"$@\"", "-c", "$X"])

test_option_without_a_script_is_fine if fine(["bash", "-c"])

test_eval_alone_is_fine if fine(["eval"])

test_no_command_is_fine if {
	count(evaluated_text.deny) == 0 with input.commands as []
}
