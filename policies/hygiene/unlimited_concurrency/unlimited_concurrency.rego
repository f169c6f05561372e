# METADATA
# title: Runs of one branch replace each other
# description: >-
#   Without `concurrency` each push starts one more run beside those that are still going: machines work for commits that
#   are already outdated, and two runs can release at once, the older one last. Seen are workflows of pushes and pull
#   requests in which neither the workflow nor a job names a group. Not seen: whether the group is a good one.
# custom:
#   id: hygiene.unlimited_concurrency
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7]
#   applies_to: [github]
#   remediation: >-
#     Name a group for each branch, and cancel what is outdated where nothing is released:
#     `concurrency: {group: ci-${{ github.ref }}, cancel-in-progress: true}`.
package policyd.hygiene.unlimited_concurrency

deny contains violation if {
	input.pipeline.kind == "workflow"
	starts := [trigger.at | some trigger in input.triggers; trigger.event in {"push", "pull_request", "pull_request_target"}]
	count(starts) > 0
	not _names_a_group
	violation := {"message": "runs of one branch go on beside each other: no `concurrency` is named", "at": starts[0]}
}

_names_a_group if object.get(input.document, "concurrency", null) != null

_names_a_group if {
	some job in object.get(input.document, "jobs", {})
	object.get(job, "concurrency", null) != null
}
