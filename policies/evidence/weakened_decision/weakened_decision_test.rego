package policyd.evidence.weakened_decision_test

import data.policyd.evidence.weakened_decision

decision(weakened) := {"gate": "stage", "stage": "build", "verdict": "allow", "sha256": "d", "weakened": weakened}

test_weakened_check_is_reported if {
	found := weakened_decision.deny with input.decisions as [decision(["no sandbox"])]
	found == {{"message": "a check was weakened: no sandbox", "at": ["decisions", 0]}}
}

test_full_check_is_fine if {
	count(weakened_decision.deny) == 0 with input.decisions as [decision([])]
}

test_no_decision_is_another_rule if {
	count(weakened_decision.deny) == 0 with input.decisions as []
}
