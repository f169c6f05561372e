package policyd.governance.self_governed_test

import data.policyd.governance.self_governed

test_self_governance_is_reported if {
	found := self_governed.deny with input.governance as "self"
	found == {{"message": "no operator settings govern this release", "at": ["governance"]}}
}

test_operator_is_fine if {
	count(self_governed.deny) == 0 with input.governance as "operator"
}
