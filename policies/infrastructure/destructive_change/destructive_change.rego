# METADATA
# title: Data is not deleted by the way
# description: >-
#   A plan that deletes or replaces a database, bucket, disk or key loses what is in it, and often does so because of a
#   change of one setting. Seen in Terraform plans, by the type of resource.
# custom:
#   id: infrastructure.destructive_change
#   severity: high
#   gate: stage
#   controls: [OWASP-CICD-SEC-1]
#   remediation: >-
#     Change the plan so that it keeps the resource (`prevent_destroy`, `moved` blocks), or let an approver waive this
#     violation for this one plan.
package policyd.infrastructure.destructive_change

import data.policyd.lib.terraform

deny contains violation if {
	some [change, at] in terraform.all_changes
	actions := terraform.list(object.get(change, ["change", "actions"], []))
	"delete" in actions
	_holds_data(change.type)
	violation := {"message": sprintf("%v would be %v", [change.address, _what(actions)]), "at": at}
}

_what(actions) := "replaced, and lose what it holds" if "create" in actions

_what(actions) := "deleted with what it holds" if {
	not "create" in actions
}

_holds_data(kind) if {
	regex.match(`_(bucket|db_instance|db_cluster|rds_cluster|database|database_instance|database_cluster|dynamodb_table|table|ebs_volume|disk|volume|efs_file_system|file_system|filesystem|kms_key|key_vault|crypto_key|storage_account|cosmosdb_account|bigquery_dataset|elasticache_cluster|redis_instance|ecr_repository|secretsmanager_secret|spanner_instance)$`, kind)
}
