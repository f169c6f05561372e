# METADATA
# title: A release can be traced to a commit
# description: >-
#   Source that is in no commit, or differs from the commit it is said to be, was reviewed by nobody and can't be built
#   again. The source is still named by the digest of all its files.
# custom:
#   id: integrity.unclean_source
#   severity: low
#   gate: release
#   controls: [OWASP-CICD-SEC-9, OWASP-CICD-SEC-1]
#   remediation: Commit everything, and run the pipeline on a clean checkout.
package policyd.integrity.unclean_source

deny contains violation if {
	is_null(object.get(input.plan.source, "commit", null))
	violation := {"message": "the source belongs to no commit", "at": ["plan", "source"]}
}

deny contains violation if {
	is_string(object.get(input.plan.source, "commit", null))
	object.get(input.plan.source, "clean", false) != true
	violation := {"message": "the source differs from the commit it is based on", "at": ["plan", "source"]}
}
