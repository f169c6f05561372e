# METADATA
# title: Certificates are verified
# description: >-
#   Without verification an encrypted connection may end at anybody. What is downloaded can be replaced, what is sent,
#   tokens included, can be read. Not seen: options in configuration files that the
#   script does not write itself.
# custom:
#   id: integrity.tls_verification_disabled
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, OWASP-CICD-SEC-3]
#   remediation: >-
#     Remove the option or variable. If the server's certificate comes from an own authority, give the tool that
#     authority's certificate (`--cacert`, `REQUESTS_CA_BUNDLE`, `GIT_SSL_CAINFO`, `NODE_EXTRA_CA_CERTS`).
package policyd.integrity.tls_verification_disabled

deny contains violation if {
	some effect in input.effects
	effect.kind == "tls-off"
	effect.program != ""
	violation := {
		"message": sprintf("%s is told not to verify certificates: %s", [effect.program, effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}

deny contains violation if {
	some effect in input.effects
	effect.kind == "tls-off"
	effect.program == ""
	violation := {
		"message": sprintf("%s switches the verification of certificates off", [effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
