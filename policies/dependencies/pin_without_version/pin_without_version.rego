# METADATA
# title: Beside a digest stands the version it is
# description: >-
#   Nobody sees from a digest alone how old it is, and update tools find no version to renew. Seen are actions, reusable
#   workflows, components, tasks and repositories by commit without a version (or the name of a branch) in a comment on the line,
#   and images by digest with neither a tag nor such a comment. Not seen: whether the version belongs to the digest.
# custom:
#   id: dependencies.pin_without_version
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: "Write the version behind the digest: `@9c091bb… # v7.0.0`, or `name:tag@sha256:…` for an image."
package policyd.dependencies.pin_without_version

deny contains violation if {
	some comment in _comments
	not regex.match(`[0-9]|(^|[ /])(main|master|stable|nightly|HEAD|latest)($|[ ,;])`, comment)
	some reference in input.references
	reference.comment == comment
	reference.pinned
	reference.kind in {"action", "workflow", "image", "component", "task", "repository"}
	_is_commit(reference)
	violation := {
		"message": sprintf("nothing says which version %s is", [reference.text]),
		"at": reference.at,
	}
}

# Once each: there are far fewer than references.
_comments := {reference.comment |
	some reference in input.references
	reference.pinned
}

_is_commit(reference) if {
	reference.kind != "image"
	regex.match(`^[0-9a-fA-F]{40,64}$`, reference.ref)
}

_is_commit(reference) if {
	reference.kind == "image"
	text := reference.text
	not regex.match(`:[^:@/]+@`, text)
}
