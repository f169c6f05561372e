package policyd.dependencies.insecure_url_test

import data.policyd.dependencies.insecure_url

empty := {"commands": [], "variables": [], "references": []}

command(argv) := object.union(empty, {"commands": [{
	"text": concat(" ", argv), "program": argv[0], "argv": argv, "pipes_to": "", "shell": "bash", "untrusted": false,
	"at": ["commands", 0], "stage": "build",
}]})

variable(name, value) := object.union(empty, {"variables": [{
	"name": name, "value": value, "literal": true, "origin": "environment", "at": ["variables", 0], "stage": "",
}]})

denied(document) if {
	count(insecure_url.deny) == 1 with input as document
}

fine(document) if {
	count(insecure_url.deny) == 0 with input as document
}

test_download_over_http_is_denied if denied(command(["wget", "http://example.com/tool.tgz"]))

test_saved_by_curl_is_denied if denied(command(["curl", "-fsSLo", "tool", "http://example.com/tool"]))

test_git_protocol_is_denied if denied(command(["git", "clone", "git://example.com/x.git"]))

test_index_option_is_denied if denied(command(["pip", "install", "--index-url=http://pypi.example.com/simple"]))

test_index_variable_is_denied if denied(variable("PIP_INDEX_URL", "http://user@pypi.example.com/simple"))

test_include_is_denied if {
	denied(object.union(empty, {"references": [{
		"text": "http://example.com/ci.yml", "kind": "include", "owner": "", "name": "", "ref": "", "local": false,
		"pinned": false, "at": ["references", 0], "stage": "",
	}]}))
}

test_https_is_fine if fine(command(["wget", "https://example.com/tool.tgz"]))

test_service_beside_the_stage_is_fine if fine(command(["wget", "http://registry:5000/x"]))

test_loopback_is_fine if fine(command(["curl", "-o", "x", "http://127.0.0.1:8080/"]))

test_address_not_known_yet_is_fine if fine(command(["wget", "http://$HOST/x"]))

test_request_that_keeps_nothing_is_fine if fine(command(["curl", "-f", "http://staging.example.com/health"]))

test_discarded_answer_is_fine if fine(command(["curl", "-o", "/dev/null", "http://staging.example.com/health"]))

test_other_variable_is_fine if fine(variable("HOMEPAGE", "http://example.com"))

test_nothing_is_fine if fine(empty)

test_host_that_settings_allow_is_fine if {
	given := command(["wget", "http://mirror.example.com/tool.tgz"])
	denied(given)
	count(insecure_url.deny) == 0 with input as given
		with data.policyd.settings.dependencies.insecure_url.allowed_hosts as ["mirror.example.com"]
}
