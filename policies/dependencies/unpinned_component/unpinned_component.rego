# METADATA
# title: Actions, images and includes are pinned to a digest
# description: >-
#   A tag or branch can be moved to other code after it was reviewed; then that code runs with all that the stage may
#   do. A full digest always means the same bytes. Not seen: what a pinned action itself fetches.
# custom:
#   id: dependencies.unpinned_component
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.1]
#   settings:
#     trusted_owners:
#       type: strings
#       default: []
#       tighter: subset
#       description: Owners of actions and workflows that need no digest, such as your own organisation.
#   remediation: >-
#     Replace the tag or branch with the full digest it points to and keep the version in a comment beside it, where
#     an update tool finds it.
package policyd.dependencies.unpinned_component

deny contains violation if {
	some reference in input.references
	reference.kind in {"action", "workflow", "image", "include"}
	not reference.local
	not reference.pinned
	not _is_trusted(reference)
	violation := {
		"message": sprintf("%s is not pinned to a digest", [reference.text]),
		"at": reference.at,
	}
}

_is_trusted(reference) if {
	reference.kind in {"action", "workflow"}
	reference.owner in data.policyd.settings.dependencies.unpinned_component.trusted_owners
}
