package policyd.governance.unverified_requester_test

import data.policyd.governance.unverified_requester

test_unverified_requester_is_reported if {
	found := unverified_requester.deny with input.requester as {"identity": "me", "verified": false}
	found == {{"message": "nobody vouches for the requester me", "at": ["requester"]}}
}

test_verified_requester_is_fine if {
	count(unverified_requester.deny) == 0 with input.requester as {"identity": "me", "verified": true}
}
