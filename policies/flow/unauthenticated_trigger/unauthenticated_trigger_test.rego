package policyd.flow.unauthenticated_trigger_test

import data.policyd.flow.unauthenticated_trigger

trigger(authenticated) := {"at": ["triggers", 0], "event": "push", "trust": "untrusted", "authenticated": authenticated}

test_listener_that_checks_nothing_is_denied if {
	found := unauthenticated_trigger.deny with input.triggers as [trigger(false)]
	found == {{"message": "anyone who reaches the listener can start this (push)", "at": ["triggers", 0]}}
}

test_listener_that_checks_a_signature_is_fine if {
	count(unauthenticated_trigger.deny) == 0 with input.triggers as [trigger(true)]
}

test_no_trigger_is_fine if {
	count(unauthenticated_trigger.deny) == 0 with input.triggers as []
}
