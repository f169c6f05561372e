# METADATA
# title: Workloads have no powers over their node
# description: >-
#   A container that is privileged, shares the node's namespaces, mounts its folders or has its strongest capabilities
#   can take over the node and every workload on it. Seen in Kubernetes manifests; not seen is what a namespace or an
#   admission controller adds or forbids.
# custom:
#   id: infrastructure.privileged_workload
#   severity: high
#   gate: stage
#   controls: [OWASP-CICD-SEC-7]
#   remediation: >-
#     Remove the setting. Grant the one capability that is needed, and use a volume of the cluster instead of a folder
#     of the node.
package policyd.infrastructure.privileged_workload

import data.policyd.lib.kubernetes

deny contains violation if {
	some [spec, at, owner] in kubernetes.pods
	some setting in ["hostNetwork", "hostPID", "hostIPC"]
	spec[setting] == true
	violation := {"message": sprintf("%v sets %v", [owner, setting]), "at": array.concat(at, [setting])}
}

deny contains violation if {
	some [spec, at, owner] in kubernetes.pods
	is_array(spec.volumes)
	some i, volume in spec.volumes
	is_object(volume)
	is_object(volume.hostPath)
	violation := {"message": sprintf("%v mounts a folder of its node", [owner]), "at": array.concat(at, ["volumes", i])}
}

deny contains violation if {
	some [container, at, owner] in kubernetes.containers
	some setting in ["privileged", "allowPrivilegeEscalation"]
	container.securityContext[setting] == true
	violation := {"message": sprintf("%v sets %v", [owner, setting]), "at": array.concat(at, ["securityContext", setting])}
}

deny contains violation if {
	some [container, at, owner] in kubernetes.containers
	added := object.get(container, ["securityContext", "capabilities", "add"], [])
	is_array(added)
	some capability in added
	capability in {
		"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "NET_ADMIN", "DAC_READ_SEARCH", "BPF",
		"CAP_SYS_ADMIN",
	}
	violation := {
		"message": sprintf("%v adds the capability %v", [owner, capability]),
		"at": array.concat(at, ["securityContext", "capabilities", "add"]),
	}
}
