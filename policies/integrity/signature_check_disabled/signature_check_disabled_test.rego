package policyd.integrity.signature_check_disabled_test

import data.policyd.integrity.signature_check_disabled

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
	count(signature_check_disabled.deny) == 1 with input as document
}

fine(document) if {
	count(signature_check_disabled.deny) == 0 with input as document
}

test_apt_is_denied if {
	denied(command("apt-get install --allow-unauthenticated x", ["apt-get", "install", "--allow-unauthenticated", "x"]))
}

test_dnf_is_denied if denied(command("dnf --nogpgcheck install x", ["dnf", "--nogpgcheck", "install", "x"]))

test_apk_is_denied if denied(command("apk add --allow-untrusted x", ["apk", "add", "--allow-untrusted", "x"]))

test_trusted_source_is_denied if {
	text := "echo 'deb [arch=amd64 trusted=yes] https://x.example stable main'"
	denied(command(text, ["echo", "deb [arch=amd64 trusted=yes] https://x.example stable main"]))
}

test_go_variable_is_denied if denied(variable("GOSUMDB", "off"))

test_go_assignment_is_denied if denied(command("GOSUMDB=off go build", ["go", "build"]))

test_plain_install_is_fine if fine(command("apt-get install x", ["apt-get", "install", "x"]))

test_signed_source_is_fine if {
	fine(command("echo 'deb [signed-by=/k.gpg] https://x.example s m'", ["echo", "deb [signed-by=/k.gpg] https://x.example s m"]))
}

test_other_go_database_is_fine if fine(variable("GOSUMDB", "sum.golang.org"))

test_nothing_is_fine if fine({"commands": [], "variables": []})
