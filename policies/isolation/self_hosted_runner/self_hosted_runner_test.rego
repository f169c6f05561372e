package policyd.isolation.self_hosted_runner_test

import data.policyd.isolation.self_hosted_runner

stage(self_hosted, untrusted) := {
	"at": ["stages", 0], "name": "build", "self_hosted": self_hosted, "untrusted": untrusted, "privileged": false,
	"runner": ["self-hosted"], "guards": [],
}

document(one) := {"pipeline": {"dialect": "github"}, "stages": [one]}

test_stranger_on_own_machine_is_denied if {
	found := self_hosted_runner.deny with input as document(stage(true, true))
	found == {{"message": "anyone can start build on a machine of your own", "at": ["stages", 0], "confidence": "medium"}}
}

test_member_on_own_machine_is_fine if {
	count(self_hosted_runner.deny) == 0 with input as document(stage(true, false))
}

test_stranger_on_hosted_machine_is_fine if {
	count(self_hosted_runner.deny) == 0 with input as document(stage(false, true))
}

test_no_stage_is_fine if {
	count(self_hosted_runner.deny) == 0 with input as {"pipeline": {"dialect": "github"}, "stages": []}
}

test_own_repository_is_fine if {
	count(self_hosted_runner.deny) == 0 with input as document(object.union(stage(true, true), {"guards": ["same-repository"]}))
}

test_approval_lowers_the_confidence if {
	some violation in self_hosted_runner.deny with input as document(object.union(stage(true, true), {"guards": ["approval"]}))
	violation.confidence == "low"
}

test_gitlab_lowers_the_confidence if {
	some violation in self_hosted_runner.deny with input as {"pipeline": {"dialect": "gitlab"}, "stages": [stage(true, true)]}
	violation.confidence == "low"
}

test_stranger_on_a_machine_that_is_thrown_away_is_fine if {
	labelled := object.union(stage(true, true), {"runner": ["self-hosted", "once"]})
	count(self_hosted_runner.deny) == 1 with input as document(labelled)
	count(self_hosted_runner.deny) == 0 with input as document(labelled)
		with data.policyd.settings.isolation.self_hosted_runner.disposable_labels as ["once"]
}

test_what_a_member_starts_by_hand_on_gitlab_is_fine if {
	started := {"pipeline": {"dialect": "gitlab"}, "stages": [object.union(stage(true, true), {"guards": ["approval"]})]}
	count(self_hosted_runner.deny) == 0 with input as started
}
