# METADATA
# title: The token may only do what a stage needs
# description: >-
#   A permission to write that is granted to the whole workflow is held by each of its jobs, by every action they use
#   and by whatever those load. Not seen: whether a job uses what it is granted.
# custom:
#   id: permissions.excessive
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-5, OWASP-CICD-SEC-2]
#   applies_to: [github]
#   remediation: "Write `permissions: {}` for the workflow, and grant each job what it uses."
package policyd.permissions.excessive

deny contains violation if {
	some permission in input.permissions
	permission.explicit
	permission.access == "write"
	permission.scope in _everything
	violation := {"message": "the token may write everything", "at": permission.at}
}

deny contains violation if {
	count(input.stages) > 1
	some permission in input.permissions
	permission.explicit
	permission.level == "pipeline"
	permission.access == "write"
	scope := permission.scope
	not scope in _everything
	violation := {
		"message": sprintf("every job of the workflow may write %s", [permission.scope]),
		"at": permission.at,
	}
}

_everything := {"*", "all", "write-all"}
