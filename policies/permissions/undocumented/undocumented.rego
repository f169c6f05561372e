# METADATA
# title: Each permission says what it is for
# description: >-
#   A permission without a reason is never taken away again, because nobody knows what would break. Seen are permissions
#   other than `contents: read` without a comment behind them or on the line above. Not seen: whether the reason is true.
# custom:
#   id: permissions.undocumented
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-5]
#   applies_to: [github]
#   remediation: "Write the reason behind it: `issues: write # to comment on failures`."
package policyd.permissions.undocumented

deny contains violation if {
	some permission in input.permissions
	permission.explicit
	permission.comment == ""
	permission.access != "none"
	not _is_plain(permission)
	not _is_shorthand(permission)
	violation := {
		"message": sprintf("nothing says what %s: %s is for", [permission.scope, permission.access]),
		"at": permission.at,
	}
}

_is_plain(permission) if {
	permission.scope == "contents"
	permission.access == "read"
}

# `read-all` and `write-all` arrive as one permission for each scope, all in one place.
_is_shorthand(permission) if count([1 | some other in _scopes[permission.stage]; other == permission.at]) > 1

_scopes[stage] := places if {
	some stage in {one.stage | some one in input.permissions}
	places := [one.at | some one in input.permissions; one.stage == stage]
}
