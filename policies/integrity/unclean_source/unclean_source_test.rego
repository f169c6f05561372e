package policyd.integrity.unclean_source_test

import data.policyd.integrity.unclean_source

source(commit, clean) := {"plan": {"source": {"sha256": "s", "files": 1, "commit": commit, "clean": clean}}}

test_source_outside_git_is_reported if {
	found := unclean_source.deny with input as source(null, null)
	found == {{"message": "the source belongs to no commit", "at": ["plan", "source"]}}
}

test_changed_checkout_is_reported if {
	count(unclean_source.deny) == 1 with input as source("abc", false)
}

test_checkout_nobody_compared_is_reported if {
	count(unclean_source.deny) == 1 with input as source("abc", null)
}

test_missing_fields_are_reported if {
	count(unclean_source.deny) == 1 with input as {"plan": {"source": {"sha256": "s", "files": 1}}}
}

test_clean_checkout_is_fine if {
	count(unclean_source.deny) == 0 with input as source("abc", true)
}
