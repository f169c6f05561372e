# METADATA
# title: A checkout leaves no credential behind
# description: >-
#   The checkout action writes the stage's token into `.git/config` unless told not to. Everything that runs later can
#   read it there, and an artifact made of the whole workspace carries it out.
# custom:
#   id: credentials.persisted_checkout
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6]
#   applies_to: [github]
#   remediation: "Set `persist-credentials: false`, and hand the token only to the step that pushes."
package policyd.credentials.persisted_checkout

deny contains violation if {
	some checkout in input.checkouts
	checkout.persists_credentials
	violation := {
		"message": sprintf("%s leaves the stage's token in the working copy", [checkout.text]),
		"at": checkout.at,
	}
}
