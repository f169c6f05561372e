# METADATA
# title: No artifact carries credentials out of the stage
# description: >-
#   Who may read a run may download its artifacts, on public projects anyone. An artifact of the whole workspace takes
#   along `.git` with the token that the checkout left there, and files such as `.npmrc`. Seen are uploads of the working
#   folder or of `.git` where a credential was left in the stage; GitLab's runner can leave the job's token by itself;
#   and of files that are there to hold a credential (`.netrc`, `kubeconfig`) or that a command wrote one to.
#   Not seen: archives packed by scripts.
# custom:
#   id: credentials.leaked_workspace
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6, OWASP-CICD-SEC-9, NIST-SSDF-PO.5.1]
#   applies_to: [github, gitlab, azure]
#   remediation: Upload the folder with what was built, and check out without keeping credentials.
package policyd.credentials.leaked_workspace

deny contains violation if {
	some artifact in input.artifacts
	artifact.whole_workspace
	artifact.direction == "upload"
	stage := artifact.stage
	some left in _left
	left.stage == stage
	violation := {
		"message": sprintf("%s takes along a credential that was left in the workspace", [artifact.text]),
		"at": artifact.at,
		"related": [{"message": "what leaves the credential", "at": left.at}],
	}
}

deny contains violation if {
	input.pipeline.dialect == "gitlab"
	some artifact in input.artifacts
	artifact.whole_workspace
	artifact.direction == "upload"
	stage := artifact.stage
	not stage in _leaving
	violation := {
		"message": sprintf("%s takes along `.git`, where the runner may have left the job's token", [artifact.text]),
		"at": artifact.at,
		"confidence": "medium",
	}
}

deny contains violation if {
	some artifact in input.artifacts
	artifact.direction == "upload"
	not artifact.whole_workspace
	file := object.get(artifact, "credentials", "")
	file != ""
	violation := {
		"message": sprintf("%v, a file of credentials, is taken along", [file]),
		"at": artifact.at,
		"confidence": "medium",
	}
}

_left contains checkout if {
	some checkout in input.checkouts
	checkout.persists_credentials
}

_left contains effect if {
	some effect in input.effects
	effect.kind == "persists-credentials"
}

_leaving contains stage if {
	some left in _left
	stage := left.stage
}
