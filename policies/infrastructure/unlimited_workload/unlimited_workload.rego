# METADATA
# title: Workloads have limits
# description: >-
#   A container without a memory limit can take the memory of everything else on its node. Seen in Kubernetes manifests;
#   not seen are limits that the namespace sets.
# custom:
#   id: infrastructure.unlimited_workload
#   severity: low
#   gate: stage
#   controls: [OWASP-CICD-SEC-7]
#   remediation: "Set `resources.limits.memory` a little above what the container needs."
package policyd.infrastructure.unlimited_workload

import data.policyd.lib.kubernetes

deny contains violation if {
	some [container, at, owner] in kubernetes.containers
	is_null(object.get(container, ["resources", "limits", "memory"], null))
	violation := {"message": sprintf("a container of %v has no memory limit", [owner]), "at": at}
}
