# METADATA
# title: No secret is written to the log
# description: >-
#   Logs are read by more people than secrets are meant for, and masking fails as soon as a value is split, encoded or
#   part of a structure; Tekton masks nothing. Seen are commands that print a secret, as it is or encoded, commands
#   that are traced (`set -x`) or print the headers they send (`curl -v`) with one in them, a secret that Azure's
#   `task.setvariable` is given without `issecret`, and a listing of the whole environment where a secret is in it, as in
#   every job of GitLab's. Not seen: what programs print by themselves.
# custom:
#   id: credentials.secret_in_log
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6, OWASP-CICD-SEC-10, NIST-SSDF-PO.5.1]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: Hand the secret to the program that needs it by its standard input or a variable, and print nothing.
package policyd.credentials.secret_in_log

deny contains violation if {
	some effect in input.effects
	effect.kind == "secret-print"
	violation := {
		"message": sprintf("%s writes %s to the log", [effect.program, effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}

deny contains violation if {
	some effect in input.effects
	effect.kind == "environment-dump"
	effect.secret
	violation := {
		"message": sprintf("%s writes the environment, which holds secrets, to the log", [effect.program]),
		"at": effect.at,
		"confidence": "medium",
	}
}

# All variables of a GitLab project, and the job's token, are in the environment of every job.
deny contains violation if {
	input.pipeline.dialect == "gitlab"
	some effect in input.effects
	effect.kind == "environment-dump"
	not effect.secret
	violation := {
		"message": sprintf("%s writes the environment to the log, where all variables of the project are", [effect.program]),
		"at": effect.at,
		"confidence": "medium",
	}
}
