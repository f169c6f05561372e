# METADATA
# title: Secrets are kept in environments
# description: >-
#   A secret of the repository reaches every workflow of every branch, so whoever can push a branch can read it. One of an
#   environment reaches only jobs that name it, after its reviewers and branch rules. Seen are secrets in jobs without
#   an environment. Not seen: where a secret is kept, so one of the organisation or with little to lose is seen too.
# custom:
#   id: credentials.secret_outside_environment
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-5, OWASP-CICD-SEC-6]
#   applies_to: [github]
#   confidence: low
#   remediation: Move the secret into an environment with reviewers or branch rules, and name the environment in the job.
package policyd.credentials.secret_outside_environment

deny contains violation if {
	some secret in input.secrets
	not secret.inherited
	not _is_own(secret)
	stage := secret.stage
	not stage in _with_environment
	violation := {"message": sprintf("%v is used in a job without an environment", [_name(secret)]), "at": secret.at}
}

_is_own(secret) if regex.match(`(?i)^github_token$`, secret.name)

_with_environment contains stage.name if {
	some stage in input.stages
	stage.environment != ""
}

_name(secret) := "every secret" if secret.all

_name(secret) := secret.name if not secret.all
