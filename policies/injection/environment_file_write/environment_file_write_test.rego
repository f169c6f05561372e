package policyd.injection.environment_file_write_test

import data.policyd.injection.environment_file_write

document(text, file, untrusted, privileged) := {
	"commands": [{
		"writes_to": [file], "text": text, "program": "echo", "argv": ["echo"], "pipes_to": "", "shell": "bash", "untrusted": untrusted,
		"at": ["commands", 0], "stage": "build",
	}],
	"stages": [{"at": ["stages", 0], "name": "build", "untrusted": true, "privileged": privileged}],
}

test_stranger_in_the_environment_is_denied if {
	found := environment_file_write.deny with input as document(
		"echo \"T=${{ github.event.issue.title }}\" >> \"$GITHUB_ENV\"",
		"$GITHUB_ENV", true, false,
	)
	found == {{"message": "text of a stranger is written to GITHUB_ENV", "at": ["commands", 0]}}
}

test_computed_text_in_a_privileged_stage_is_denied if {
	count(environment_file_write.deny) == 1 with input as document("echo \"V=$(cat version)\" >> $GITHUB_PATH", "$GITHUB_PATH", false, true)
}

test_computed_text_without_powers_is_fine if {
	count(environment_file_write.deny) == 0 with input as document("echo \"V=$(cat version)\" >> $GITHUB_ENV", "$GITHUB_ENV", false, false)
}

test_fixed_text_is_fine if {
	count(environment_file_write.deny) == 0 with input as document("echo \"$HOME/bin\" >> ${GITHUB_PATH}", "${GITHUB_PATH}", false, true)
}

test_output_file_is_fine if {
	count(environment_file_write.deny) == 0 with input as document("echo \"v=$(cat v)\" >> $GITHUB_OUTPUT", "$GITHUB_OUTPUT", false, true)
}

test_nothing_is_fine if {
	count(environment_file_write.deny) == 0 with input as {"commands": [], "stages": []}
}
