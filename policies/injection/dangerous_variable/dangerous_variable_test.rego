package policyd.injection.dangerous_variable_test

import data.policyd.injection.dangerous_variable

variable(name, value) := {
	"commands": [],
	"variables": [{
		"name": name, "value": value, "literal": true, "origin": "environment", "at": ["variables", 0], "stage": "",
	}],
}

command(text) := {
	"variables": [],
	"commands": [{
		"text": text, "program": "x", "argv": ["x"], "pipes_to": "", "shell": "bash", "untrusted": false,
		"at": ["commands", 0], "stage": "build",
	}],
}

denied(document) if {
	count(dangerous_variable.deny) == 1 with input as document
}

fine(document) if {
	count(dangerous_variable.deny) == 0 with input as document
}

test_preloaded_library_is_denied if {
	found := dangerous_variable.deny with input as variable("LD_PRELOAD", "./x.so")
	found == {{"message": "LD_PRELOAD makes every program load a library first", "at": ["variables", 0]}}
}

test_assignment_before_a_program_is_denied if denied(command("LD_PRELOAD=./x.so make"))

test_export_is_denied if denied(command("export BASH_ENV=./env.sh"))

test_write_for_later_steps_is_denied if denied(command("echo \"NODE_OPTIONS=--require=./x.js\" >> $GITHUB_ENV"))

test_java_agent_is_denied if denied(variable("JAVA_TOOL_OPTIONS", "-javaagent:/tmp/a.jar"))

test_program_for_git_is_denied if denied(variable("GIT_EXTERNAL_DIFF", "./diff.sh"))

test_working_folder_in_path_is_denied if denied(variable("PATH", "./bin:/usr/bin"))

test_empty_part_of_path_is_denied if denied(variable("PATH", "/usr/bin::/bin"))

test_memory_of_node_is_fine if fine(variable("NODE_OPTIONS", "--max-old-space-size=4096"))

test_full_path_is_fine if fine(variable("PATH", "/opt/tool/bin:/usr/bin:/bin"))

test_path_of_the_shell_is_fine if fine(command("export PATH=$HOME/bin:$PATH"))

test_unset_variable_is_fine if fine(variable("LD_PRELOAD", ""))

test_input_of_an_action_is_fine if {
	fine({"commands": [], "variables": [{
		"name": "PATH", "value": "./dist", "literal": true, "origin": "input", "at": ["variables", 0], "stage": "b",
	}]})
}

test_nothing_is_fine if fine({"commands": [], "variables": []})

test_variable_that_settings_name_is_denied if {
	found := dangerous_variable.deny with input as variable("COMPANY_MIRROR", "x")
		with data.policyd.settings.injection.dangerous_variable.more_variables as ["COMPANY_MIRROR"]
	found == {{"message": "COMPANY_MIRROR may not be set here", "at": ["variables", 0]}}
}
