# METADATA
# title: No credential stands in the pipeline
# description: >-
#   A password or key in a file is known to everyone who can read the repository, its forks and its history, and can't
#   be taken back by deleting the line. Formats that issuers made recognisable are seen anywhere; other values only
#   where the name says password, token, secret or key and the value looks made up by a machine, and where a program is
#   told a password. Values are not quoted. Not seen: passwords that are words, and encoded values.
# custom:
#   id: credentials.hardcoded_credential
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6, NIST-SSDF-PO.5.1]
#   remediation: >-
#     Revoke the credential first. Then keep the new one in the CI system's secrets, or better use a short-lived token
#     that the CI system issues (OIDC).
package policyd.credentials.hardcoded_credential

deny contains violation if {
	some effect in input.effects
	effect.kind == "literal-credential"
	effect.detail != "a value declared a secret" # credentials.literal_secret_variable
	violation := {
		"message": sprintf("%s stands in plain text%v", [effect.detail, _where(effect)]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}

# The text of a command may quote the credential; a variable's is its name.
_where(effect) := sprintf(" in a command of %v", [effect.program]) if effect.program != ""

_where(effect) := sprintf(" in %v", [effect.text]) if effect.program == ""
