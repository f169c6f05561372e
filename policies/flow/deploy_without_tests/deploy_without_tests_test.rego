package policyd.flow.deploy_without_tests_test

import data.policyd.flow.deploy_without_tests

stage(kind, needs_kinds) := {"at": ["stages", 0], "name": "release", "kind": kind, "needs_kinds": needs_kinds}

test_deploy_after_build_alone_is_denied if {
	found := deploy_without_tests.deny with input.stages as [stage("deploy", ["build"])]
	found == {{"message": "release deploys without needing a test", "at": ["stages", 0]}}
}

test_deploy_that_needs_nothing_is_denied if {
	count(deploy_without_tests.deny) == 1 with input.stages as [stage("deploy", [])]
}

test_deploy_after_test_is_fine if {
	count(deploy_without_tests.deny) == 0 with input.stages as [stage("deploy", ["build", "test"])]
}

test_other_stage_is_fine if {
	count(deploy_without_tests.deny) == 0 with input.stages as [stage("build", [])]
}

test_no_stage_is_fine if {
	count(deploy_without_tests.deny) == 0 with input.stages as []
}
