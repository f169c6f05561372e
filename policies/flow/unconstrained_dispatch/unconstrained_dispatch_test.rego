package policyd.flow.unconstrained_dispatch_test

import data.policyd.flow.unconstrained_dispatch

trigger(event, parameters) := {"at": ["triggers", 0], "event": event, "parameters": parameters}

test_parameters_are_reported if {
	found := unconstrained_dispatch.deny with input.triggers as [trigger("workflow_dispatch", ["level", "target"])]
	found == {{"message": "who starts this by hand sets level, target", "at": ["triggers", 0]}}
}

test_start_without_parameters_is_fine if {
	count(unconstrained_dispatch.deny) == 0 with input.triggers as [trigger("workflow_dispatch", [])]
}

test_parameters_of_a_call_are_fine if {
	count(unconstrained_dispatch.deny) == 0 with input.triggers as [trigger("workflow_call", ["level"])]
}
