package policyd.isolation.self_hosted_runner_test

import data.policyd.isolation.self_hosted_runner

stage(self_hosted, untrusted) := {
	"at": ["stages", 0], "name": "build", "self_hosted": self_hosted, "untrusted": untrusted, "privileged": false,
}

test_stranger_on_own_machine_is_denied if {
	found := self_hosted_runner.deny with input.stages as [stage(true, true)]
	found == {{"message": "anyone can start build on a machine of your own", "at": ["stages", 0]}}
}

test_member_on_own_machine_is_fine if {
	count(self_hosted_runner.deny) == 0 with input.stages as [stage(true, false)]
}

test_stranger_on_hosted_machine_is_fine if {
	count(self_hosted_runner.deny) == 0 with input.stages as [stage(false, true)]
}

test_no_stage_is_fine if {
	count(self_hosted_runner.deny) == 0 with input.stages as []
}

test_stranger_on_a_machine_that_is_thrown_away_is_fine if {
	labelled := object.union(stage(true, true), {"runner": ["self-hosted", "once"]})
	count(self_hosted_runner.deny) == 1 with input.stages as [labelled]
	count(self_hosted_runner.deny) == 0 with input.stages as [labelled]
		with data.policyd.settings.isolation.self_hosted_runner.disposable_labels as ["once"]
}
