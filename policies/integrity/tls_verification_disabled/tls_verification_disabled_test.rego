package policyd.integrity.tls_verification_disabled_test

import data.policyd.integrity.tls_verification_disabled

command(text, argv) := {
	"variables": [],
	"commands": [{
		"text": text, "program": argv[0], "argv": argv, "pipes_to": "", "shell": "bash", "untrusted": false,
		"at": ["commands", 0], "stage": "build",
	}],
}

variable(name, value) := {
	"commands": [],
	"variables": [{
		"name": name, "value": value, "literal": true, "origin": "environment", "at": ["variables", 0], "stage": "",
	}],
}

denied(document) if {
	count(tls_verification_disabled.deny) == 1 with input as document
}

fine(document) if {
	count(tls_verification_disabled.deny) == 0 with input as document
}

test_curl_k_is_denied if denied(command("curl -k https://x.example", ["curl", "-k", "https://x.example"]))

test_options_written_together_are_denied if {
	denied(command("curl -fsSLk https://x.example", ["curl", "-fsSLk", "https://x.example"]))
}

test_wget_is_denied if {
	denied(command("wget --no-check-certificate u", ["wget", "--no-check-certificate", "u"]))
}

test_git_option_is_denied if {
	denied(command("git -c http.sslVerify=false clone u", ["git", "-c", "http.sslVerify=false", "clone", "u"]))
}

test_git_config_is_denied if {
	denied(command("git config --global http.sslVerify false", ["git", "config", "--global", "http.sslVerify", "false"]))
}

test_trusted_host_is_denied if {
	denied(command("pip install --trusted-host x y", ["pip", "install", "--trusted-host", "x", "y"]))
}

test_npm_is_denied if {
	denied(command("npm config set strict-ssl false", ["npm", "config", "set", "strict-ssl", "false"]))
}

test_export_is_denied if {
	denied(command("export NODE_TLS_REJECT_UNAUTHORIZED=0", ["export", "NODE_TLS_REJECT_UNAUTHORIZED=0"]))
}

test_variable_is_denied if denied(variable("GIT_SSL_NO_VERIFY", "true"))

test_curl_is_fine if fine(command("curl -fsSL https://x.example", ["curl", "-fsSL", "https://x.example"]))

test_value_of_an_option_is_fine if {
	fine(command("curl -okernel https://x.example", ["curl", "-okernel", "https://x.example"]))
}

test_verifying_git_is_fine if {
	fine(command("git -c http.sslVerify=true clone u", ["git", "-c", "http.sslVerify=true", "clone", "u"]))
}

test_variable_that_leaves_it_on_is_fine if fine(variable("NODE_TLS_REJECT_UNAUTHORIZED", "1"))

test_empty_variable_is_fine if fine(variable("GIT_SSL_NO_VERIFY", ""))

test_nothing_is_fine if fine({"commands": [], "variables": []})
