package policyd.credentials.secret_in_log_test

import data.policyd.credentials.secret_in_log

command(text, argv, pipes_to) := command_to(text, argv, pipes_to, [])

command_to(text, argv, pipes_to, writes_to) := {
	"writes_to": writes_to, "text": text, "program": argv[0], "argv": argv, "pipes_to": pipes_to, "shell": "bash", "untrusted": false,
	"at": ["commands", 0], "stage": "build",
}

secret(stage) := {
	"name": "TOKEN", "value": "${{ secrets.TOKEN }}", "literal": false, "origin": "environment",
	"at": ["variables", 0], "stage": stage,
}

denied(command_given, variables) if {
	count(secret_in_log.deny) == 1 with input as {"commands": [command_given], "variables": variables}
}

fine(command_given, variables) if {
	count(secret_in_log.deny) == 0 with input as {"commands": [command_given], "variables": variables}
}

test_echo_of_a_secret_is_denied if {
	denied(command("echo ${{ secrets.TOKEN }}", ["echo", "${{ secrets.TOKEN }}"], ""), [])
}

test_echo_of_its_variable_is_denied if {
	denied(command("echo \"$TOKEN\"", ["echo", "$TOKEN"], ""), [secret("build")])
}

test_variable_of_the_whole_pipeline_counts if {
	denied(command("echo \"${TOKEN}\"", ["echo", "${TOKEN}"], ""), [secret("")])
}

test_listing_of_the_environment_is_denied if denied(command("printenv", ["printenv"], ""), [secret("build")])

test_secret_piped_on_is_fine if {
	fine(command("echo \"$TOKEN\"", ["echo", "$TOKEN"], "docker"), [secret("build")])
}

test_secret_written_to_a_file_is_fine if {
	fine(command_to("echo \"$TOKEN\" > f", ["echo", "$TOKEN"], "", ["f"]), [secret("build")])
}

test_secret_of_another_stage_is_fine if {
	fine(command("echo \"$TOKEN\"", ["echo", "$TOKEN"], ""), [secret("deploy")])
}

test_other_variable_is_fine if fine(command("echo \"$NAME\"", ["echo", "$NAME"], ""), [secret("build")])

test_environment_without_secrets_is_fine if fine(command("env", ["env"], ""), [])

test_nothing_is_fine if {
	count(secret_in_log.deny) == 0 with input as {"commands": [], "variables": []}
}
