# METADATA
# title: Secrets are not handed over as arguments
# description: >-
#   Arguments of a running program are seen by every process of the machine, kept in histories, and printed by `set -x` and
#   by error messages. Seen are the password options of well-known programs (`docker login -p`). Not seen: other
#   programs, and headers of curl.
# custom:
#   id: credentials.secret_in_argument
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: Hand the secret over by standard input (`--password-stdin`), a variable or a file that only the program reads.
package policyd.credentials.secret_in_argument

deny contains violation if {
	some effect in input.effects
	effect.kind == "secret-argument"
	violation := {
		"message": sprintf("%s gets a secret as an argument", [effect.program]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
