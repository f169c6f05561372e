# METADATA
# title: Secrets are not taken apart
# description: >-
#   The CI system masks a secret's whole value. A part taken out of a structured secret (`fromJSON(secrets.X).y`) is a
#   new value that nothing masks in the log.
# custom:
#   id: credentials.unredacted_secret
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6, OWASP-CICD-SEC-10]
#   applies_to: [github]
#   remediation: Keep each part as a secret of its own.
package policyd.credentials.unredacted_secret

deny contains violation if {
	some text in _texts
	regex.match(`(?i)fromjson[ \t]*\([ \t]*secrets[.\[]`, text)
	some expression in input.expressions
	expression.text == text
	violation := {"message": "a part of a secret is used, which nothing masks in the log", "at": expression.at}
}

# Once each: the same few expressions stand in many places.
_texts := {expression.text | some expression in input.expressions}
