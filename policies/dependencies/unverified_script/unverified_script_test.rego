package policyd.dependencies.unverified_script_test

import data.policyd.dependencies.unverified_script

command(argv, pipes_to) := {
	"text": concat(" ", argv), "program": argv[0], "argv": argv, "pipes_to": pipes_to, "shell": "bash",
	"untrusted": false, "at": ["commands", 0], "stage": "build",
}

test_curl_into_shell_is_denied_where_it_stands if {
	found := unverified_script.deny with input.commands as [command(["curl", "-sSL", "https://get.example.com"], "bash")]
	found == {{"message": "what curl downloads is run by bash without being verified", "at": ["commands", 0]}}
}

test_eval_of_a_download_is_denied if {
	count(unverified_script.deny) == 1 with input.commands as [command(["wget", "-qO-", "https://x.example"], "eval")]
}

test_python_that_reads_its_program_is_denied if {
	count(unverified_script.deny) == 1 with input.commands as [
		command(["curl", "https://install.example.org"], "python3"),
		command(["python3", "-"], ""),
	]
}

test_python_with_its_own_program_is_fine if {
	count(unverified_script.deny) == 0 with input.commands as [
		command(["curl", "https://api.example.org"], "python3"),
		command(["python3", "-m", "json.tool"], ""),
	]
}

test_archive_is_fine if {
	count(unverified_script.deny) == 0 with input.commands as [command(["curl", "https://x.example/a.tgz"], "tar")]
}

test_plain_download_is_fine if {
	count(unverified_script.deny) == 0 with input.commands as [command(["curl", "-O", "https://x.example/a"], "")]
}

test_no_commands_is_fine if {
	count(unverified_script.deny) == 0 with input.commands as []
}
