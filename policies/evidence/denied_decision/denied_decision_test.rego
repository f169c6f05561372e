package policyd.evidence.denied_decision_test

import data.policyd.evidence.denied_decision

decision(gate, stage, verdict) := {"gate": gate, "stage": stage, "verdict": verdict, "sha256": "d", "weakened": []}

document(decisions) := {"decisions": decisions, "evidence": [{"stage": "build"}]}

denied(decisions) if {
	count(denied_decision.deny) == 1 with input as document(decisions)
}

test_all_allowed_is_fine if {
	count(denied_decision.deny) == 0 with input as document([
		decision("pipeline", "", "allow"),
		decision("stage", "build", "allow"),
	])
}

test_denied_stage_is_denied if {
	denied([decision("pipeline", "", "allow"), decision("stage", "build", "allow"), decision("stage", "x", "deny")])
}

test_undecided_is_no_allow if {
	denied([decision("pipeline", "", "allow"), decision("stage", "build", "allow"), decision("stage", "x", "undecided")])
}

test_missing_check_is_denied if denied([decision("stage", "build", "allow")])

test_missing_admission_is_denied if {
	found := denied_decision.deny with input as document([decision("pipeline", "", "allow")])
	found == {{"message": "no decision says that build was allowed to start", "at": ["evidence", 0]}}
}

test_admission_of_another_stage_is_denied if denied([decision("pipeline", "", "allow"), decision("stage", "x", "allow")])

test_no_decision_is_denied if {
	count(denied_decision.deny) == 2 with input as document([])
}
