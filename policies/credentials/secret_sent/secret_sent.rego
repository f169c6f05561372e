# METADATA
# title: No secret is sent to another host
# description: >-
#   A secret in the body or the address of a request is known to whoever answers, and stands in logs on the way. Seen are
#   commands that send a secret, or the whole environment, to a host by curl, wget, netcat and their like; logging in
#   (an address for that, with fields such as `grant_type`) is left out. Not seen: a secret that only proves in a header
#   who asks, and programs that send by themselves.
# custom:
#   id: credentials.secret_sent
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6, OWASP-CICD-SEC-7, NIST-SSDF-PO.5.1]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     Remove the command, and replace every secret it sent. To prove who asks send a header, best with a short-lived token
#     of the CI system (OIDC).
package policyd.credentials.secret_sent

deny contains violation if {
	some effect in input.effects
	effect.kind == "secret-send"
	violation := {
		"message": sprintf("%s sends a secret: %s", [effect.program, effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}

deny contains violation if {
	some effect in input.effects
	effect.kind == "environment-send"
	violation := {
		"message": sprintf("%s sends the whole environment: %s", [effect.program, effect.detail]),
		"at": effect.at,
	}
}
