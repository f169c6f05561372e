# METADATA
# title: No command opens a shell to somebody else
# description: >-
#   A shell whose input and output is a network connection hands the machine, its secrets and what it builds to whoever
#   is at the other end. Not seen: shells in compiled programs or in text that is decoded first.
# custom:
#   id: injection.reverse_shell
#   severity: critical
#   level: hard
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   remediation: >-
#     Remove the command and treat every secret the pipeline could read as known to others. To look into a failing
#     stage, run it again where there are no secrets.
package policyd.injection.reverse_shell

deny contains violation if {
	some effect in input.effects
	effect.kind == "reverse-shell"
	violation := {
		"message": sprintf("%s connects a shell to the network", [effect.program]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
