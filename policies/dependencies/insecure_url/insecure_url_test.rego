package policyd.dependencies.insecure_url_test

import data.policyd.dependencies.insecure_url

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_download_over_http_is_denied if {
	found := insecure_url.deny with input as document(effect({"kind": "insecure-url", "program": "wget", "detail": "http://example.com/x"}))
	found == {{"message": "wget fetches over an unencrypted connection", "at": ["effects", 0]}}
}

test_index_variable_is_denied if {
	found := insecure_url.deny with input as document(effect({"kind": "insecure-url", "text": "PIP_INDEX_URL", "detail": "http://example.com/x"}))
	found == {{"message": "PIP_INDEX_URL is fetched over an unencrypted connection", "at": ["effects", 0]}}
}

test_other_effect_is_fine if {
	count(insecure_url.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(insecure_url.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}

test_host_that_settings_allow_is_fine if {
	given := document(effect({"kind": "insecure-url", "program": "wget", "detail": "http://mirror.example.com/tool.tgz"}))
	count(insecure_url.deny) == 1 with input as given
	count(insecure_url.deny) == 0 with input as given
		with data.policyd.settings.dependencies.insecure_url.allowed_hosts as ["mirror.example.com"]
}
