package policyd.integrity.unsigned_release_test

import data.policyd.integrity.unsigned_release

effect(kind, index) := {
	"at": ["effects", index], "stage": "release", "kind": kind, "program": "npm", "text": "npm publish", "detail": "npm",
	"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
}

document(effects) := {"effects": effects, "references": []}

test_release_without_it_is_denied_once if {
	found := unsigned_release.deny with input as document([effect("build", 0), effect("publish", 1), effect("publish", 2)])
	found == {{"message": "npm publishes, and nothing here signs or attests", "at": ["effects", 1]}}
}

test_release_with_it_is_fine if {
	count(unsigned_release.deny) == 0 with input as document([effect("publish", 0), effect("sign", 1)])
}

test_no_release_is_fine if {
	count(unsigned_release.deny) == 0 with input as document([effect("build", 0)])
}

test_provenance_and_trusted_publishing_count if {
	provenance := object.union(effect("publish", 0), {"text": "npm publish --provenance"})
	count(unsigned_release.deny) == 0 with input as document([provenance])
	trusted := {"slug": "pypa/gh-action-pypi-publish", "inputs": {}}
	count(unsigned_release.deny) == 0 with input as {"effects": [effect("publish", 0)], "references": [trusted]}
	password := object.union(trusted, {"inputs": {"password": "${{ secrets.TOKEN }}"}})
	count(unsigned_release.deny) == 1 with input as {"effects": [effect("publish", 0)], "references": [password]}
}
