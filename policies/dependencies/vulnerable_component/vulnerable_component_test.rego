package policyd.dependencies.vulnerable_component_test

import data.policyd.dependencies.vulnerable_component

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

advisory(fields) := object.union({"moved": false, "commits": [], "summary": "it leaks"}, fields)

known := {"vulnerable": {
	"action": {
		"owner/name": [advisory({"id": "GHSA-1", "from": "2.0.0", "fixed": "4.1.3", "commits": ["abc"]})],
		"owner/moved": [advisory({"id": "GHSA-3", "from": "1.0.0", "fixed": "", "moved": true, "commits": ["abc"]})],
	},
	"image": {"owner/name": [advisory({"id": "GHSA-2", "from": "0.69.4", "fixed": "0.69.7"})]},
}}

found(fields) := result if {
	result := vulnerable_component.deny with input as {"references": [reference(fields)]}
		with data.policyd.known.components as known
}

test_version_that_is_affected_is_denied if {
	every ref in ["v2", "v3", "3.1", "4.1.2", "v4.0", "2.0.0", "v3.0.0-beta"] {
		count(found({"ref": ref})) == 1
	}
}

test_version_that_is_not_affected_is_fine if {
	every ref in ["v4", "v4.1", "4.1.3", "v5", "v1.9.9", "main", "release/v3", "2024.01.02", "", "v3.1.2.3"] {
		count(found({"ref": ref})) == 0
	}
}

test_message_says_what_is_known if {
	message := "owner/name@v1: it leaks, mended in 4.1.3 (GHSA-1)"
	found({"ref": "v3"}) == {{"message": message, "at": ["references", 0], "confidence": "high"}}
}

test_comment_beside_a_digest_counts_with_less_confidence if {
	every comment in ["v4.1.2", "tag=v4.1.2", "3.0", "v3"] {
		some violation in found({"ref": "def", "pinned": true, "comment": comment})
		violation.confidence == "medium"
	}
	every comment in ["v4.1.3", "v4", "", "main", "pinned on purpose"] {
		count(found({"ref": "def", "pinned": true, "comment": comment})) == 0
	}
}

test_commit_that_is_known_to_be_bad if {
	found({"ref": "abc", "pinned": true}) == {{"message": "owner/name@v1: it leaks (GHSA-1)", "at": ["references", 0]}}
}

test_moved_tags if {
	moved := {"slug": "owner/moved", "text": "owner/moved@v3"}
	message := "owner/moved@v3: it leaks, and no version mends it (GHSA-3)"
	found(object.union(moved, {"ref": "v3"})) == {{"message": message, "at": ["references", 0], "confidence": "high"}}
	count(found(object.union(moved, {"ref": "v0.9"}))) == 0
	count(found(object.union(moved, {"ref": "def", "pinned": true, "comment": "v3"}))) == 0
	count(found(object.union(moved, {"ref": "abc", "pinned": true, "comment": "v3"}))) == 1
}

test_reusable_workflow_counts_as_its_repository if {
	count(found({"kind": "workflow", "ref": "v3"})) == 1
	count(found({"kind": "workflow", "ref": "v4.1.3"})) == 0
}

test_tag_of_an_image if {
	image := {"kind": "image", "text": "owner/name:0.69.5"}
	count(found(object.union(image, {"ref": "0.69.5"}))) == 1
	count(found(object.union(image, {"ref": "0.69.5-alpine"}))) == 1
	count(found(object.union(image, {"ref": "0.69.3"}))) == 0
	count(found(object.union(image, {"ref": "0.69.7"}))) == 0
	count(found(object.union(image, {"ref": "latest"}))) == 0
	pinned := {"kind": "image", "pinned": true, "ref": "sha256:1"}
	count(found(object.union(pinned, {"text": "owner/name:0.69.5@sha256:1"}))) == 1
	count(found(object.union(pinned, {"text": "host:5000/owner/name@sha256:1"}))) == 0
}

test_other_or_local_component_is_fine if {
	count(found({"ref": "v3", "slug": "other/name"})) == 0
	count(found({"ref": "v3", "local": true})) == 0
}

test_missing_list_is_no_pass if {
	found_without := vulnerable_component.deny with input as {"references": []}
		with data.policyd.known as {}
	count(found_without) == 1
}
