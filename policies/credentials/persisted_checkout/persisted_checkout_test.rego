package policyd.credentials.persisted_checkout_test

import data.policyd.credentials.persisted_checkout

checkout(persists) := {
	"text": "actions/checkout@v4", "ref": "", "untrusted": false, "persists_credentials": persists,
	"at": ["checkouts", 0], "stage": "build",
}

test_credentials_left_are_denied if {
	found := persisted_checkout.deny with input.checkouts as [checkout(true)]
	found == {{"message": "actions/checkout@v4 leaves the stage's token in the working copy", "at": ["checkouts", 0]}}
}

test_credentials_removed_are_fine if {
	count(persisted_checkout.deny) == 0 with input.checkouts as [checkout(false)]
}

test_no_checkout_is_fine if {
	count(persisted_checkout.deny) == 0 with input.checkouts as []
}
