package policyd.flow.deploy_from_source_test

import data.policyd.flow.deploy_from_source

stage(kind, needs_kinds, has_source) := {
	"at": ["stages", 0], "name": "release", "kind": kind, "needs_kinds": needs_kinds, "has_source": has_source,
}

test_deploy_from_source_is_denied if {
	count(deploy_from_source.deny) == 1 with input.stages as [stage("deploy", ["test"], true)]
}

test_deploy_that_needs_a_build_is_fine if {
	count(deploy_from_source.deny) == 0 with input.stages as [stage("deploy", ["build", "test"], true)]
}

test_deploy_without_source_is_fine if {
	count(deploy_from_source.deny) == 0 with input.stages as [stage("deploy", ["test"], false)]
}

test_other_stage_is_fine if {
	count(deploy_from_source.deny) == 0 with input.stages as [stage("build", [], true)]
}

test_no_stage_is_fine if {
	count(deploy_from_source.deny) == 0 with input.stages as []
}
