# METADATA
# title: A token of an app is limited to what the job needs
# description: >-
#   The token of a GitHub App may do all that the app may, in every repository it is installed in, unless it is made for
#   fewer; one that is not revoked at the end of the job lives an hour. Seen for `actions/create-github-app-token` and
#   `tibdex/github-app-token`. Not seen: how much the app itself may do.
# custom:
#   id: credentials.unlimited_app_token
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-2, OWASP-CICD-SEC-6]
#   applies_to: [github]
#   remediation: >-
#     Name the permissions (`permission-contents: read`), for other repositories also `repositories`, and leave out
#     `skip-token-revoke`.
package policyd.credentials.unlimited_app_token

deny contains violation if {
	some reference in input.references
	reference.kind == "action"
	reference.slug in {"actions/create-github-app-token", "tibdex/github-app-token"}
	some missing in _missing(reference.inputs)
	violation := {"message": sprintf("the app's token %v", [missing]), "at": reference.at}
}

_missing(inputs) := [text |
	some [text, broken] in [
		["may do all that the app may: no permission is named", _names_nothing(inputs)],
		["reaches every repository of the owner: none is named", _reaches_all(inputs)],
		["is not revoked when the job ends", _stays(inputs)],
	]
	broken
]

_names_nothing(inputs) := count([name | some name, _ in inputs; regex.match(`(?i)^permissions?(-|$)`, name)]) == 0

# Without `owner` the token is for the repository of the workflow.
_reaches_all(inputs) := count([name |
	some name, value in inputs
	name == "owner"
	value != ""
	object.get(inputs, "repositories", "") == ""
]) > 0

_stays(inputs) := regex.match(`(?i)^true$`, object.get(inputs, "skip-token-revoke", ""))
