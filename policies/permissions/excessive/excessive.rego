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
#   settings:
#     allowed_scopes:
#       type: strings
#       default: []
#       tighter: subset
#       description: Scopes that every job of a workflow may write, such as `statuses`.
#   remediation: "Write `permissions: {}` for the workflow, and grant each job what it uses."
package policyd.permissions.excessive

# `write-all` arrives as one permission for each scope. Grants of the workflow stand in one place, so the jobs that share
# them share the violation.
deny contains violation if {
	some permission in input.permissions
	permission.scope == "actions"
	permission.stage in _writes_everything
	violation := {"message": "the token may write everything", "at": permission.at}
}

deny contains violation if {
	count(input.stages) > 1
	some permission in input.permissions
	permission.explicit
	permission.level == "pipeline"
	permission.access == "write"
	stage := permission.stage
	not stage in _writes_everything
	not _is_allowed(permission)
	violation := {
		"message": sprintf("every job of the workflow may write %s", [permission.scope]),
		"at": permission.at,
	}
}

_writes contains [permission.stage, permission.scope] if {
	some permission in input.permissions
	permission.explicit
	permission.access == "write"
}

_writes_everything contains stage if {
	some [stage, scope] in _writes
	scope == "actions"
	every other in ["checks", "contents", "deployments", "id-token", "packages", "pages", "security-events", "statuses"] {
		[stage, other] in _writes
	}
}

_is_allowed(permission) if permission.scope in data.policyd.settings.permissions.excessive.allowed_scopes
