# METADATA
# title: What strangers can start gets no secret
# description: >-
#   Code of a pull request can read every variable and file of its stage, whatever the script does with them. Seen are
#   secrets, job tokens and service accounts in stages that pull or merge requests of outsiders start. The confidence
#   is low where a person lets each run pass, and on GitLab, where a fork's pipeline has the fork's own secrets until a
#   member starts it here; there only stages count that deploy, publish or sign without anyone having to start them. Not seen: settings of the project
#   that keep secrets from forks, the token that Pipelines-as-Code makes for each run to fetch its code, and GitHub, which keeps
#   secrets from forks by itself (injection.untrusted_checkout and flow.dangerous_trigger speak of what lifts that).
# custom:
#   id: permissions.token_in_untrusted
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4, OWASP-CICD-SEC-5, NIST-SSDF-PO.5.1]
#   applies_to: [gitlab, azure, tekton]
#   confidence: medium
#   remediation: >-
#     Run what needs the secret in a stage or pipeline of its own that starts after the merge; give what pull requests start
#     an account that can do nothing.
package policyd.permissions.token_in_untrusted

import data.policyd.lib.trust

deny contains violation if {
	some stage in input.stages
	_is_open(stage)
	some secret in input.secrets
	secret.stage == stage.name
	name := secret.name
	not name in _lent
	asked := object.get(secret, "guards", [])
	not trust.is_ours(asked)
	violation := {
		"message": sprintf("%s, which strangers can start, gets %s", [stage.name, secret.name]),
		"at": secret.at,
		"confidence": _confidence(stage),
	}
}

# The token that Pipelines-as-Code makes for each run, to fetch the code with.
_lent := {"{{ git_auth_secret }}", "{{git_auth_secret}}"}

# Rights that no text in the stage speaks of: a service account, a connection to a cloud.
deny contains violation if {
	some stage in input.stages
	_is_open(stage)
	stage.writes
	name := stage.name
	not name in _with_secrets
	not name in _named
	violation := {
		"message": sprintf("%s, which strangers can start, runs with an account that can change things", [name]),
		"at": stage.at,
		"confidence": _confidence(stage),
	}
}

_is_open(stage) if {
	stage.untrusted
	stage.privileged
	guards := stage.guards
	not trust.is_ours(guards)
	_has_something_to_lose(stage)
	not _is_said
}

# On Tekton the rules on checkouts name what brings in the code that could read the secrets, unless it was let pass.
_is_said if {
	input.pipeline.dialect == "tekton"
	some checkout in input.checkouts
	checkout.untrusted
	trust.may_run(checkout)
}

# And flow.unauthenticated_trigger says that anyone starts it.
_is_said if {
	input.pipeline.dialect == "tekton"
	some trigger in input.triggers
	not trigger.authenticated
}

# A token for a report or a scan is what merge requests of members need.
_has_something_to_lose(_) if input.pipeline.dialect != "gitlab"

_has_something_to_lose(stage) if {
	input.pipeline.dialect == "gitlab"
	guards := stage.guards
	not trust.is_let_pass(guards)
	some purpose in stage.purposes
	purpose in {"deploy", "publish", "sign"}
}

_with_secrets contains secret.stage if some secret in input.secrets

# There injection.untrusted_checkout names the code that runs with the account.
_named contains checkout.stage if {
	input.pipeline.dialect == "azure"
	some checkout in input.checkouts
	checkout.untrusted
	checkout.runs != ""
}

_confidence(stage) := "low" if _is_doubtful(stage)

_confidence(stage) := "medium" if not _is_doubtful(stage)

_is_doubtful(stage) if trust.is_let_pass(stage.guards)

_is_doubtful(_) if input.pipeline.dialect == "gitlab"
