# METADATA
# title: A called workflow gets only the secrets it needs
# description: >-
#   `secrets: inherit` hands every secret of the caller to the called workflow, those it has no use for included, and
#   each one added later.
# custom:
#   id: credentials.inherited_secrets
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6]
#   applies_to: [github]
#   remediation: Name the secrets the called workflow needs, one by one.
package policyd.credentials.inherited_secrets

deny contains violation if {
	some secret in input.secrets
	secret.inherited
	violation := {"message": "every secret is handed to the called workflow", "at": secret.at}
}
