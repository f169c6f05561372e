package policyd.evidence.failed_attestation_test

import data.policyd.evidence.failed_attestation

attestation := {
	"sha256": "0123456789abcdef", "predicate_type": "https://example.com/scan/v1", "verified": true, "check": 0, "reason": "",
}

test_one_that_fails_is_denied if {
	failed := object.union(attestation, {"verified": false, "check": 4, "reason": "changed"})
	found := failed_attestation.deny with input as {"attestations": [attestation, failed]}
	found == {{
		"message": "the attestation sha256:0123456789ab (https://example.com/scan/v1) does not hold, check 4: changed",
		"at": ["attestations", 1],
	}}
}

test_one_that_holds_is_fine if {
	count(failed_attestation.deny) == 0 with input as {"attestations": [attestation]}
}
