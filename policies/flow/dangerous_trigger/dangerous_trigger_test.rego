package policyd.flow.dangerous_trigger_test

import data.policyd.flow.dangerous_trigger

trigger(event, trust, privileged) := {
	"event": event, "trust": trust, "privileged": privileged, "at": ["triggers", 0], "stage": "",
}

test_powers_for_strangers_are_denied if {
	found := dangerous_trigger.deny with input.triggers as [trigger("pull_request_target", "untrusted", true)]
	found == {{
		"message": "pull_request_target lets strangers start this with the repository's powers",
		"at": ["triggers", 0],
	}}
}

test_strangers_without_powers_are_fine if {
	count(dangerous_trigger.deny) == 0 with input.triggers as [trigger("pull_request", "untrusted", false)]
}

test_members_are_fine if {
	count(dangerous_trigger.deny) == 0 with input.triggers as [trigger("push", "internal", true)]
}

test_no_trigger_is_fine if {
	count(dangerous_trigger.deny) == 0 with input.triggers as []
}
