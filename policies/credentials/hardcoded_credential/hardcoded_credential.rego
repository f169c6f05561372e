# METADATA
# title: No credential stands in the pipeline
# description: >-
#   A password or key in a file is known to everyone who can read the repository, its forks and its history, and can't
#   be taken back by deleting the line. Formats that issuers made recognisable are found anywhere; other values only
#   where the name says password, token, secret or key and the value looks made up by a machine. Values are not quoted.
# custom:
#   id: credentials.hardcoded_credential
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6]
#   remediation: >-
#     Revoke the credential first. Then keep the new one in the CI system's secrets, or better use a short-lived token
#     that the CI system issues (OIDC).
package policyd.credentials.hardcoded_credential

import data.policyd.lib.text

deny contains violation if {
	some variable in input.variables
	some credential in text.credentials_in(variable.value)
	violation := {
		"message": sprintf("%s holds %v in plain text", [variable.name, credential]),
		"at": variable.at,
	}
}

deny contains violation if {
	some command in input.commands
	some credential in text.credentials_in(command.text)
	violation := {
		"message": sprintf("%s is given %v in plain text", [command.program, credential]),
		"at": command.at,
	}
}

# The credentials of a registry are there to be secret, whatever they look like.
deny contains violation if {
	some variable in input.variables
	variable.origin == "credentials"
	variable.literal
	regex.match(`(?i)(password|token|secret|key)`, variable.name)
	variable.value != ""
	violation := {
		"message": sprintf("the registry credential %s stands in plain text", [variable.name]),
		"at": variable.at,
	}
}

deny contains violation if {
	some variable in input.variables
	variable.literal
	variable.origin != "credentials"
	regex.match(`(?i)(^|[_-])(password|passwd|passphrase|secret|token|api[_-]?key|(secret|private|access)[_-]?key([_-]id)?)$`, variable.name)
	_looks_secret(variable.value)
	violation := {
		"message": sprintf("%s seems to hold a credential in plain text", [variable.name]),
		"at": variable.at,
		"confidence": "medium",
	}
}

_looks_secret(value) if {
	regex.match(`^[A-Za-z0-9+/=_.:!@#%^*-]{8,}$`, value)
	regex.match(`[0-9]`, value)
	regex.match(`[A-Za-z]`, value)
	not regex.match(`(?i)(test|dummy|example|sample|fake|change-?_?me|placeholder|password|secret|your|xxxx|local|default|postgres|mysql|admin|guest|root|mock|demo|redacted|://)`, value)
}
