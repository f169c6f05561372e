# METADATA
# title: Disks and databases are encrypted
# description: >-
#   Data that is not encrypted at rest can be read from a snapshot, a backup or a disk that is given away. Seen in
#   Terraform plans where the setting says no; not seen are resources that leave it to the account's default.
# custom:
#   id: infrastructure.unencrypted_storage
#   severity: medium
#   gate: stage
#   controls: [OWASP-CICD-SEC-7]
#   remediation: Set the resource's encryption on; for an existing one this usually means to copy the data.
package policyd.infrastructure.unencrypted_storage

import data.policyd.lib.terraform

deny contains violation if {
	some [change, at] in terraform.changes
	some setting in _settings(change.type)
	change.change.after[setting] == false
	violation := {"message": sprintf("%v would not be encrypted", [change.address]), "at": at}
}

_settings(kind) := ["encrypted"] if kind in {"aws_ebs_volume", "aws_efs_file_system"}

_settings(kind) := ["storage_encrypted"] if {
	kind in {"aws_db_instance", "aws_rds_cluster", "aws_docdb_cluster", "aws_neptune_cluster"}
}

_settings(kind) := ["at_rest_encryption_enabled", "transit_encryption_enabled"] if kind == "aws_elasticache_replication_group"
