# METADATA
# title: Who pins a component gets the same code each time
# description: >-
#   A digest names the files of an action or component, not what those fetch. As long as one thing in it can change,
#   pinning it does not help those who use it. Seen are actions, images and other references in the files of GitHub actions
#   and of GitLab components. Not seen: the base image in a Dockerfile of the action, what its scripts fetch, and tasks of
#   Tekton, whose images dependencies.unpinned_image names one by one.
# custom:
#   id: dependencies.unpinnable_component
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.1]
#   applies_to: [github, gitlab]
#   remediation: Pin everything the component takes from elsewhere to a digest, and name its Docker image by digest.
package policyd.dependencies.unpinnable_component

import data.policyd.lib.reference as references

# One finding for the file: each reference has a finding of its own.
deny contains violation if {
	input.pipeline.kind in {"action", "component"}
	found := _mutable[0]
	violation := {
		"message": sprintf("who pins this %s still gets %v, which can change", [input.pipeline.kind, found.text]),
		"at": found.at,
	}
}

_mutable := [reference |
	some reference in input.references
	reference.kind in {"action", "workflow", "image", "include", "component", "task"}
	references.is_mutable(reference)
]
