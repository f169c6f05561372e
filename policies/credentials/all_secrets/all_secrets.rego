# METADATA
# title: No step gets all secrets at once
# description: >-
#   `toJSON(secrets)` or a secret chosen by a computed name puts every secret into one value: one leak is then a leak of
#   all, and masking does not find them inside the structure.
# custom:
#   id: credentials.all_secrets
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6]
#   applies_to: [github]
#   remediation: Name the secrets the step needs, one by one.
package policyd.credentials.all_secrets

deny contains violation if {
	some secret in input.secrets
	secret.all
	not secret.inherited
	violation := {"message": "all secrets are put into one value", "at": secret.at}
}
