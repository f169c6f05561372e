package policyd.flow.deploy_without_scan_test

import data.policyd.flow.deploy_without_scan

stage(name, kind, purposes, needs, needs_kinds) := {
	"at": ["stages", name], "name": name, "kind": kind, "purposes": purposes, "needs": needs, "needs_kinds": needs_kinds,
}

native(needs_kinds) := [stage("release", "deploy", ["deploy"], [], needs_kinds)]

# A pipeline of another system: purposes are what its commands show.
other(needs_kinds) := [
	stage("check", "", ["scan"], [], []),
	stage("release", "", ["deploy"], [], needs_kinds),
]

test_native_deploy_without_scan_is_denied if {
	found := deploy_without_scan.deny with input.stages as native(["build"])
	found == {{"message": "release deploys without needing a scan", "at": ["stages", "release"], "confidence": "high"}}
}

test_deploy_that_does_not_wait_for_the_scan_of_its_pipeline_is_denied if {
	found := deploy_without_scan.deny with input.stages as other([])
	some violation in found
	violation.at == ["stages", "release"]
	violation.confidence == "medium"
}

test_deploy_after_scan_is_fine if {
	count(deploy_without_scan.deny) == 0 with input.stages as native(["build", "scan"])
	count(deploy_without_scan.deny) == 0 with input.stages as other(["scan"])
}

test_scan_in_the_same_stage_is_fine if {
	stages := [stage("check", "", ["scan"], [], []), stage("release", "", ["deploy", "scan"], [], [])]
	count(deploy_without_scan.deny) == 0 with input.stages as stages
}

test_what_the_scan_itself_needs_is_fine if {
	stages := [stage("image", "", ["publish"], [], []), stage("check", "", ["scan"], ["image"], ["publish"])]
	count(deploy_without_scan.deny) == 0 with input.stages as stages
}

test_pipeline_without_any_scan_is_fine_unless_required_and_then_denied if {
	stages := [stage("release", "", ["deploy"], [], [])]
	count(deploy_without_scan.deny) == 0 with input.stages as stages
	count(deploy_without_scan.deny) == 1 with input.stages as stages
		with data.policyd.settings.flow.deploy_without_scan.required as true
}

test_other_purposes_are_fine_unless_set_and_then_denied if {
	stages := [stage("check", "", ["scan"], [], []), stage("wheel", "", ["build"], [], [])]
	count(deploy_without_scan.deny) == 0 with input.stages as stages
	count(deploy_without_scan.deny) == 1 with input.stages as stages
		with data.policyd.settings.flow.deploy_without_scan.purposes as ["build"]
}

test_no_stage_is_fine if {
	count(deploy_without_scan.deny) == 0 with input.stages as []
}
