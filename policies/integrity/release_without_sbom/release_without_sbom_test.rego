package policyd.integrity.release_without_sbom_test

import data.policyd.integrity.release_without_sbom

effect(kind, index) := {
	"at": ["effects", index], "stage": "release", "kind": kind, "program": "npm", "text": "npm publish", "detail": "npm",
	"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
}

document(effects) := {"effects": effects, "references": []}

test_release_without_it_is_denied_once if {
	found := release_without_sbom.deny with input as document([effect("build", 0), effect("publish", 1), effect("publish", 2)])
	found == {{"message": "npm publishes, and nothing here makes an SBOM", "at": ["effects", 1]}}
}

test_release_with_it_is_fine if {
	count(release_without_sbom.deny) == 0 with input as document([effect("publish", 0), effect("sbom", 1)])
}

test_no_release_is_fine if {
	count(release_without_sbom.deny) == 0 with input as document([effect("build", 0)])
}
