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

deny contains violation if {
	some effect in input.effects
	effect.kind == "signature-off"
	effect.program != ""
	violation := {
		"message": sprintf("%s is told to install what it can't verify: %s", [effect.program, effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}

deny contains violation if {
	some effect in input.effects
	effect.kind == "signature-off"
	effect.program == ""
	violation := {
		"message": sprintf("%s switches the check of signatures or checksums off", [effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
