package policyd.flow.build_without_output_test

import data.policyd.flow.build_without_output

stage(kind, outputs) := {"at": ["stages", 0], "name": "wheel", "kind": kind, "outputs": outputs}

test_build_without_output_is_denied if {
	found := build_without_output.deny with input.stages as [stage("build", [])]
	found == {{"message": "wheel declares nothing that it makes", "at": ["stages", 0]}}
}

test_build_with_output_is_fine if {
	count(build_without_output.deny) == 0 with input.stages as [stage("package", ["wheel"])]
}

test_other_stage_is_fine if {
	count(build_without_output.deny) == 0 with input.stages as [stage("test", [])]
}

test_no_stage_is_fine if {
	count(build_without_output.deny) == 0 with input.stages as []
}
