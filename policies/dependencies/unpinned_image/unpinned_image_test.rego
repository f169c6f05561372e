package policyd.dependencies.unpinned_image_test

import data.policyd.dependencies.unpinned_image

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

image(fields) := {
	"references": [object.union(reference({"kind": "image", "text": "alpine:3.20", "ref": "3.20"}), fields)],
	"effects": [],
}

run := {
	"references": [],
	"effects": [{
		"at": ["effects", 0], "stage": "build", "kind": "unpinned-image", "program": "docker", "text": "docker run alpine",
		"detail": "alpine", "confidence": "medium",
	}],
}

test_tag_is_denied if {
	found := unpinned_image.deny with input as image({})
	found == {{"message": "the image alpine:3.20 is not pinned to a digest", "at": ["references", 0]}}
}

test_latest_and_no_tag_are_told_apart if {
	some ref in ["", "latest"]
	found := unpinned_image.deny with input as image({"ref": ref})
	found == {{"message": "the image alpine:3.20 names no version: it is whatever was pushed last", "at": ["references", 0]}}
}

test_digest_and_own_image_are_fine if {
	count(unpinned_image.deny) == 0 with input as image({"pinned": true})
	count(unpinned_image.deny) == 0 with input as image({"local": true})
}

test_whole_name_in_a_variable_is_not_known if {
	count(unpinned_image.deny) == 0 with input as image({"computed": true, "ref": ""})
	count(unpinned_image.deny) == 1 with input as image({"computed": true, "ref": "3.20"})
}

test_image_that_a_command_runs_is_denied if {
	found := unpinned_image.deny with input as run
	message := "docker takes the image alpine, which is not pinned to a digest"
	found == {{"message": message, "at": ["effects", 0], "confidence": "medium"}}
}

test_image_of_a_trusted_registry_is_fine if {
	count(unpinned_image.deny) == 0 with input as image({})
		with data.policyd.settings.dependencies.unpinned_image.trusted_registries as ["alp"]
	count(unpinned_image.deny) == 1 with input as image({})
		with data.policyd.settings.dependencies.unpinned_image.trusted_registries as ["", "registry.example.com/"]
}
