package policyd.infrastructure.unencrypted_storage_test

import data.policyd.infrastructure.unencrypted_storage

plan(kind, after) := {"stage": {"kind": "deploy"}, "results": [{"stage": "plan", "name": "terraform", "document": {"resource_changes": [{
	"address": sprintf("%v.x", [kind]), "type": kind, "change": {"actions": ["create"], "before": null, "after": after},
}]}}]}

test_plain_database_is_denied if {
	found := unencrypted_storage.deny with input as plan("aws_db_instance", {"storage_encrypted": false})
	found == {{
		"message": "aws_db_instance.x would not be encrypted",
		"at": ["results", 0, "document", "resource_changes", 0],
	}}
}

test_encrypted_database_is_fine if {
	count(unencrypted_storage.deny) == 0 with input as plan("aws_db_instance", {"storage_encrypted": true})
}

test_missing_setting_is_fine if {
	count(unencrypted_storage.deny) == 0 with input as plan("aws_ebs_volume", {})
}

test_other_resource_is_fine if {
	count(unencrypted_storage.deny) == 0 with input as plan("aws_instance", {"encrypted": false})
}

test_no_result_is_fine if {
	count(unencrypted_storage.deny) == 0 with input as {"stage": {"kind": "deploy"}, "results": []}
}
