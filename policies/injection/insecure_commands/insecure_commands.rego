# METADATA
# title: Log lines do not set the environment
# description: >-
#   ACTIONS_ALLOW_UNSECURE_COMMANDS lets any line that a step prints set variables and the path of later steps. Printing
#   a stranger's text, such as a commit message, is then enough to run their code.
# custom:
#   id: injection.insecure_commands
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github]
#   remediation: Remove the variable, and write to the files GITHUB_ENV and GITHUB_PATH where a step has to.
package policyd.injection.insecure_commands

deny contains violation if {
	some effect in input.effects
	effect.kind == "log-commands"
	violation := {"message": "log lines may set the environment of later steps", "at": effect.at}
}
