# METADATA
# title: Storage is not open to everyone
# description: >-
#   A bucket or container that anyone may read or write is found within hours. Seen in Terraform plans for AWS, Google
#   Cloud and Azure; not seen are policies written as JSON text and accounts whose default is to be public.
# custom:
#   id: infrastructure.public_storage
#   severity: high
#   gate: stage
#   controls: [OWASP-CICD-SEC-7]
#   remediation: Make the storage private, and serve what has to be public through something made for it.
package policyd.infrastructure.public_storage

import data.policyd.lib.terraform

deny contains violation if {
	some [change, at] in terraform.changes
	_is_public(change.type, change.change.after)
	violation := {"message": sprintf("%v would be open to everyone", [change.address]), "at": at}
}

_is_public(kind, after) if {
	kind in {"aws_s3_bucket", "aws_s3_bucket_acl"}
	after.acl in {"public-read", "public-read-write", "website"}
}

_is_public(kind, after) if {
	kind in {"aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"}
	some setting in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
	after[setting] == false
}

_is_public(kind, after) if {
	kind in {"google_storage_bucket_iam_member", "google_storage_bucket_access_control", "google_storage_default_object_access_control"}
	some who in [object.get(after, "member", ""), object.get(after, "entity", "")]
	who in {"allUsers", "allAuthenticatedUsers"}
}

_is_public(kind, after) if {
	kind == "google_storage_bucket_iam_binding"
	some who in terraform.list(object.get(after, "members", []))
	who in {"allUsers", "allAuthenticatedUsers"}
}

_is_public(kind, after) if {
	kind == "azurerm_storage_container"
	after.container_access_type in {"blob", "container"}
}

_is_public(kind, after) if {
	kind == "azurerm_storage_account"
	after.allow_nested_items_to_be_public == true
}
