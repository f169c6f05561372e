package policyd.infrastructure.mutable_image_test

import data.policyd.infrastructure.mutable_image

pod(image) := {"stage": {"kind": "deploy"}, "results": [{"document": {
	"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": image}]},
}}]}

digest := "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

test_tag_is_denied_where_it_stands if {
	found := mutable_image.deny with input as pod("web:1.0")
	found == {{
		"message": "Pod/web runs web:1.0, which is not pinned to a digest",
		"at": ["results", 0, "document", "spec", "containers", 0, "image"],
	}}
}

test_short_digest_is_denied if {
	count(mutable_image.deny) == 1 with input as pod("web@sha256:5f70bf")
}

test_digest_is_fine if {
	count(mutable_image.deny) == 0 with input as pod(sprintf("web:1.0@sha256:%v", [digest]))
}

test_image_that_is_no_text_is_fine if {
	count(mutable_image.deny) == 0 with input as pod(1)
}

test_no_result_is_fine if {
	count(mutable_image.deny) == 0 with input as {"stage": {"kind": "deploy"}, "results": []}
}
