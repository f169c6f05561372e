# METADATA
# title: Workloads name their images by digest
# description: >-
#   A tag can be moved after it was scanned and approved; the next restart of the workload then runs something else.
#   Seen in Kubernetes manifests; not seen are images that an admission controller rewrites.
# custom:
#   id: infrastructure.mutable_image
#   severity: medium
#   gate: stage
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-9]
#   remediation: "Write the image as `name@sha256:…`, and keep the tag in a comment or an annotation."
package policyd.infrastructure.mutable_image

import data.policyd.lib.kubernetes

deny contains violation if {
	some [container, at, owner] in kubernetes.containers
	image := container.image
	is_string(image)
	not regex.match(`@sha256:[0-9a-f]{64}$`, image)
	violation := {
		"message": sprintf("%v runs %v, which is not pinned to a digest", [owner, image]),
		"at": array.concat(at, ["image"]),
	}
}
