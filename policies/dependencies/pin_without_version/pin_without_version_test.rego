package policyd.dependencies.pin_without_version_test

import data.policyd.dependencies.pin_without_version

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

commit := "9c091bb21b7c1c1d1991bb908d89e4e9dddfe3e0"

found(fields) := result if {
	result := pin_without_version.deny with input as {"references": [
		object.union(reference({"pinned": true, "ref": commit}), fields),
	]}
}

test_commit_alone_is_denied if {
	every comment in ["", "pinned on purpose", "zizmor: ignore", "mainly for tests"] {
		count(found({"comment": comment})) == 1
	}
}

test_version_or_branch_beside_it_is_fine if {
	every comment in ["v4", "4.1", "tag=v4.2.2", "main", "ratchet:actions/checkout@main"] {
		count(found({"comment": comment})) == 1 - _has(comment)
	}
}

default _has(_) := 1

# No word of its own.
_has("ratchet:actions/checkout@main") := 0

test_what_is_not_pinned_or_pinned_by_version_is_fine if {
	count(found({"pinned": false})) == 0
	count(found({"ref": "1.2.3", "kind": "task"})) == 0
}

test_image if {
	image := {"kind": "image", "ref": "sha256:1"}
	count(found(object.union(image, {"text": "alpine@sha256:1"}))) == 1
	count(found(object.union(image, {"text": "host:5000/alpine@sha256:1"}))) == 1
	count(found(object.union(image, {"text": "alpine:3.20@sha256:1"}))) == 0
}
