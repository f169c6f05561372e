# METADATA
# title: No secret variable gets its value from the pipeline's text
# description: >-
#   A variable declared a secret (`##vso[task.setvariable issecret=true]`) is masked in the log, but its value stands in
#   the repository for everyone to read. Seen are values written out in scripts; the value is not quoted. Not seen:
#   values that a script composes.
# custom:
#   id: credentials.literal_secret_variable
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6, NIST-SSDF-PO.5.1]
#   applies_to: [azure]
#   confidence: medium
#   remediation: Replace the secret, and take the new one from a secret variable, a variable group or a key vault.
package policyd.credentials.literal_secret_variable

deny contains violation if {
	some effect in input.effects
	effect.kind == "literal-credential"
	effect.detail == "a value declared a secret"
	violation := {"message": "a variable is declared a secret, and its value stands here", "at": effect.at}
}
