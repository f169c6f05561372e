package policyd.infrastructure.public_storage_test

import data.policyd.infrastructure.public_storage

plan(kind, after) := {"stage": {"kind": "deploy"}, "results": [
	{"stage": "plan", "name": "other", "document": ["not", "a", "plan"]},
	{"stage": "plan", "name": "terraform", "document": {"resource_changes": [{
		"address": sprintf("%v.x", [kind]), "type": kind, "change": {"actions": ["create"], "before": null, "after": after},
	}]}},
]}

denied(document) if {
	count(public_storage.deny) == 1 with input as document
}

fine(document) if {
	count(public_storage.deny) == 0 with input as document
}

test_public_bucket_is_denied_where_it_stands if {
	found := public_storage.deny with input as plan("aws_s3_bucket", {"acl": "public-read"})
	found == {{
		"message": "aws_s3_bucket.x would be open to everyone",
		"at": ["results", 1, "document", "resource_changes", 0],
	}}
}

test_block_that_is_off_is_denied if {
	denied(plan("aws_s3_bucket_public_access_block", {"block_public_acls": true, "block_public_policy": false}))
}

test_everyone_in_google_is_denied if denied(plan("google_storage_bucket_iam_member", {"member": "allUsers"}))

test_binding_in_google_is_denied if {
	denied(plan("google_storage_bucket_iam_binding", {"members": ["user:a@example.com", "allAuthenticatedUsers"]}))
}

test_container_in_azure_is_denied if denied(plan("azurerm_storage_container", {"container_access_type": "blob"}))

test_private_bucket_is_fine if fine(plan("aws_s3_bucket", {"acl": "private"}))

test_bucket_without_acl_is_fine if fine(plan("aws_s3_bucket", {}))

test_full_block_is_fine if fine(plan("aws_s3_bucket_public_access_block", {"block_public_acls": true}))

test_members_that_are_no_list_are_fine if fine(plan("google_storage_bucket_iam_binding", {"members": "allUsers"}))

test_resource_that_goes_away_is_fine if fine(plan("aws_s3_bucket", null))

test_other_documents_are_fine if {
	fine({"stage": {"kind": "deploy"}, "results": [{"document": null}, {"document": 1}, {"document": {"resource_changes": "x"}}, {"document": [1]}]})
}

test_changes_of_no_known_shape_are_fine if {
	fine({"stage": {"kind": "deploy"}, "results": [{"document": {"resource_changes": [1, {"type": 2}, {"type": "a", "address": "b", "change": "c"}]}}]})
}

test_no_result_is_fine if fine({"stage": {"kind": "deploy"}, "results": []})
test_stage_that_only_looks_is_fine if {
	fine(object.union(plan("aws_s3_bucket", {"acl": "public-read"}), {"stage": {"kind": "scan"}}))
}
