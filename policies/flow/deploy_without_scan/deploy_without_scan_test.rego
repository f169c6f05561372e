package policyd.flow.deploy_without_scan_test

import data.policyd.flow.deploy_without_scan

stage(kind, needs_kinds) := {"at": ["stages", 0], "name": "release", "kind": kind, "needs_kinds": needs_kinds}

test_deploy_without_scan_is_denied if {
	count(deploy_without_scan.deny) == 1 with input.stages as [stage("deploy", ["build", "test"])]
}

test_deploy_after_scan_is_fine if {
	count(deploy_without_scan.deny) == 0 with input.stages as [stage("deploy", ["build", "scan"])]
}

test_other_stage_is_fine if {
	count(deploy_without_scan.deny) == 0 with input.stages as [stage("test", [])]
}

test_no_stage_is_fine if {
	count(deploy_without_scan.deny) == 0 with input.stages as []
}
