# METADATA
# title: Signatures of packages are checked
# description: >-
#   Package managers verify what they install against keys they know. Told not to, they install what anyone on the way
#   or on the mirror put there. Not seen: options in configuration files.
# custom:
#   id: integrity.signature_check_disabled
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-9, OWASP-CICD-SEC-3]
#   remediation: Remove the option, and add the repository's key to those the package manager knows.
package policyd.integrity.signature_check_disabled

import data.policyd.lib.shell

deny contains violation if {
	some command in input.commands
	_skips_check(command)
	violation := {
		"message": sprintf("%s is told to install what it can't verify", [command.program]),
		"at": command.at,
	}
}

deny contains violation if {
	some variable in input.variables
	_switches_off(variable.name, variable.value)
	violation := {"message": sprintf("%s switches the check of Go modules off", [variable.name]), "at": variable.at}
}

deny contains violation if {
	some command in input.commands
	some assignment in shell.assignments(command)
	_switches_off(assignment[0], assignment[1])
	violation := {"message": sprintf("%v switches the check of Go modules off", [assignment[0]]), "at": command.at}
}

_switches_off(name, value) if {
	name == "GOSUMDB"
	value == "off"
}

_switches_off("GONOSUMCHECK", value) if shell.is_on(value)

_switches_off("GOFLAGS", value) if contains(value, "-insecure")

_skips_check(command) if {
	command.program in {"apt", "apt-get", "aptitude"}
	some word in command.argv
	word in {"--allow-unauthenticated", "--force-yes", "--allow-insecure-repositories"}
}

_skips_check(command) if {
	command.program in {"yum", "dnf", "microdnf", "zypper", "rpm"}
	shell.has_word(command, {"--nogpgcheck", "--no-gpg-checks", "--nosignature"})
}

_skips_check(command) if {
	command.program == "apk"
	shell.has_word(command, {"--allow-untrusted"})
}

_skips_check(command) if regex.match(`deb[ \t]+\[[^\]]*trusted=yes`, command.text)
