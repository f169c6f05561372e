# METADATA
# title: Debug logs are not left on
# description: >-
#   Debug logging prints variables, requests and file contents, secrets in other forms than the masked one among them.
#   Seen are the variables that switch it on (terraform's `TF_LOG=TRACE` too), and scripts that print their commands
#   (`sh -x deploy.sh`) in stages with secrets; a command that is printed with a secret in it is one for
#   credentials.secret_in_log.
#   Not seen: debug options of programs.
# custom:
#   id: hygiene.debug_enabled
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-10, OWASP-CICD-SEC-6]
#   remediation: Remove the variable, and set it for one run where it is needed.
package policyd.hygiene.debug_enabled

deny contains violation if {
	some effect in input.effects
	effect.kind == "debug"
	effect.program == ""
	violation := {"message": sprintf("%s writes more to the log than may be read there", [effect.detail]), "at": effect.at}
}

# A traced script prints every command with its variables filled in.
deny contains violation if {
	some effect in input.effects
	effect.kind == "debug"
	effect.program != ""
	_has_secrets(effect.stage)
	violation := {"message": "the script prints its commands, secrets filled in", "at": effect.at}
}

_has_secrets(stage) if stage in _stages

_has_secrets(_) if "" in _stages

_stages contains secret.stage if some secret in input.secrets
