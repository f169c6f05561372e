package policyd.dependencies.unverified_script_test

import data.policyd.dependencies.unverified_script

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_download_that_is_run_is_denied if {
	found := unverified_script.deny with input as document(effect({"kind": "download-run", "program": "curl", "detail": "https://x.example"}))
	found == {{"message": "what curl downloads is run without being verified", "at": ["effects", 0], "confidence": "high"}}
}

test_other_effect_is_fine if {
	count(unverified_script.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(unverified_script.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
