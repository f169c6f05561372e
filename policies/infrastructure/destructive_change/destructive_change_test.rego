package policyd.infrastructure.destructive_change_test

import data.policyd.infrastructure.destructive_change

plan(kind, actions) := {"stage": {"kind": "deploy"}, "results": [{"stage": "plan", "name": "terraform", "document": {"resource_changes": [{
	"address": sprintf("%v.x", [kind]), "type": kind, "change": {"actions": actions, "before": {}, "after": null},
}]}}]}

test_deleted_database_is_denied if {
	found := destructive_change.deny with input as plan("aws_db_instance", ["delete"])
	found == {{
		"message": "aws_db_instance.x would be deleted with what it holds",
		"at": ["results", 0, "document", "resource_changes", 0],
	}}
}

test_replaced_bucket_is_denied if {
	found := destructive_change.deny with input as plan("aws_s3_bucket", ["delete", "create"])
	some violation in found
	violation.message == "aws_s3_bucket.x would be replaced, and lose what it holds"
}

test_updated_database_is_fine if {
	count(destructive_change.deny) == 0 with input as plan("aws_db_instance", ["update"])
}

test_deleted_rule_is_fine if {
	count(destructive_change.deny) == 0 with input as plan("aws_security_group_rule", ["delete"])
}

test_actions_that_are_no_list_are_fine if {
	count(destructive_change.deny) == 0 with input as plan("aws_db_instance", "delete")
}

test_no_result_is_fine if {
	count(destructive_change.deny) == 0 with input as {"stage": {"kind": "deploy"}, "results": []}
}
