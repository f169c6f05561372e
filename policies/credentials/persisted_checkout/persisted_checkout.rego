# METADATA
# title: A checkout leaves no credential behind
# description: >-
#   A token in `.git/config` can be read by everything that runs later in the stage, and leaves it with an archive of
#   the working copy. Seen are checkouts that keep their token, GitHub's unless told otherwise, and git commands that
#   write one into an address, a header or a store. The confidence is high where a stranger's code runs in the stage or
#   the whole workspace is uploaded, and low where the stage pushes with it. Not seen: what an action or script does with git.
# custom:
#   id: credentials.persisted_checkout
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6, NIST-SSDF-PO.5.1]
#   applies_to: [github, gitlab, azure, tekton]
#   confidence: medium
#   remediation: >-
#     Keep no credentials (GitHub: `persist-credentials: false`; Azure: no `persistCredentials`), and hand the token only
#     to the command that pushes, by an environment variable that a credential helper or `GIT_ASKPASS` reads.
package policyd.credentials.persisted_checkout

deny contains violation if {
	some checkout in input.checkouts
	checkout.persists_credentials
	said := [checkout.stage, checkout.text]
	not said in _commands
	violation := {
		"message": sprintf("%s leaves the stage's token in the working copy", [checkout.text]),
		"at": checkout.at,
		"confidence": _confidence(checkout.stage),
	}
}

deny contains violation if {
	some effect in input.effects
	effect.kind == "persists-credentials"
	effect.program == "git"
	violation := {
		"message": sprintf("%s leaves a credential in git's configuration", [effect.detail]),
		"at": effect.at,
		"confidence": "high",
	}
}

_confidence(stage) := "high" if stage in _exposed

_confidence(stage) := "medium" if {
	not stage in _exposed
	not stage in _pushing
}

_confidence(stage) := "low" if {
	not stage in _exposed
	stage in _pushing
}

_commands contains [effect.stage, effect.text] if {
	some effect in input.effects
	effect.kind == "persists-credentials"
}

_exposed contains artifact.stage if {
	some artifact in input.artifacts
	artifact.whole_workspace
	artifact.direction == "upload"
}

_exposed contains checkout.stage if {
	some checkout in input.checkouts
	checkout.untrusted
	checkout.mutable
	checkout.runs != ""
}

_pushing contains command.stage if {
	some command in input.commands
	command.program == "git"
	"push" in command.argv
}
