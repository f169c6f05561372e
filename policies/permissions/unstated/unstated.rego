# METADATA
# title: The workflow says what its token may do
# description: >-
#   Without `permissions` the token may do what the repository's or organisation's default says, which can be to write
#   everything, and which can change without a change of the workflow. Not seen: what that default is.
# custom:
#   id: permissions.unstated
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-5, OWASP-CICD-SEC-2]
#   applies_to: [github]
#   remediation: "Write `permissions: {}` at the top of the workflow, and grant each job what it uses."
package policyd.permissions.unstated

# One violation for the whole file: its first default that writes.
deny contains violation if {
	defaults := [permission.at |
		some permission in input.permissions
		permission.explicit == false
		permission.access == "write"
	]
	count(defaults) > 0
	violation := {"message": "nothing says what the token may do, so it may do what the default is", "at": defaults[0]}
}
