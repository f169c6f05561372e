package policyd.flow.dangerous_trigger_test

import data.policyd.flow.dangerous_trigger

trigger(event, trust, privileged) := {
	"event": event, "trust": trust, "privileged": privileged, "at": ["triggers", 0], "stage": "",
}

document(one, guards) := {
	"triggers": [one],
	"stages": [{"at": ["stages", 0], "name": "answer", "untrusted": true, "privileged": true, "guards": guards}],
}

test_powers_for_strangers_are_denied if {
	found := dangerous_trigger.deny with input as document(trigger("pull_request_target", "untrusted", true), [])
	found == {{
		"message": "pull_request_target lets strangers start this with the repository's powers",
		"at": ["triggers", 0],
	}}
}

test_comment_that_starts_a_stage_with_powers_is_reported if {
	found := dangerous_trigger.deny with input as document(trigger("issue_comment", "untrusted", true), ["comment"])
	found == {{
		"message": "issue_comment lets strangers start answer with the repository's powers",
		"at": ["triggers", 0],
		"confidence": "low",
	}}
}

test_comment_of_a_member_is_fine if {
	count(dangerous_trigger.deny) == 0 with input as document(trigger("issue_comment", "untrusted", true), ["association"])
}

test_comment_that_a_step_asks_a_member_about_is_fine if {
	given := document(trigger("issue_comment", "untrusted", true), ["comment"])
	stages := [object.union(stage, {"asks": ["comment", "permission"]}) | some stage in given.stages]
	count(dangerous_trigger.deny) == 0 with input as object.union(given, {"stages": stages})
}

test_strangers_without_powers_are_fine if {
	count(dangerous_trigger.deny) == 0 with input as document(trigger("pull_request", "untrusted", false), [])
}

test_members_are_fine if {
	count(dangerous_trigger.deny) == 0 with input as document(trigger("push", "internal", true), [])
}

test_no_trigger_is_fine if {
	count(dangerous_trigger.deny) == 0 with input as {"triggers": [], "stages": []}
}
