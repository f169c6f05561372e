package policyd.infrastructure.privileged_workload_test

import data.policyd.infrastructure.privileged_workload

pod(spec) := {"stage": {"kind": "deploy"}, "results": [{"stage": "render", "name": "k8s", "document": [{
	"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": spec}},
}]}]}

container(security) := pod({"containers": [{"name": "a", "image": "x", "securityContext": security}]})

denied(document) if {
	count(privileged_workload.deny) == 1 with input as document
}

fine(document) if {
	count(privileged_workload.deny) == 0 with input as document
}

test_privileged_container_is_denied_where_it_stands if {
	found := privileged_workload.deny with input as container({"privileged": true})
	found == {{
		"message": "Deployment/web sets privileged",
		"at": [
			"results", 0, "document", 0, "spec", "template", "spec", "containers", 0, "securityContext", "privileged",
		],
	}}
}

test_network_of_the_node_is_denied if denied(pod({"containers": [], "hostNetwork": true}))

test_folder_of_the_node_is_denied if denied(pod({"containers": [], "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}))

test_strong_capability_is_denied if denied(container({"capabilities": {"add": ["NET_BIND_SERVICE", "SYS_ADMIN"]}}))

test_container_that_runs_first_is_denied if {
	denied(pod({"containers": [], "initContainers": [{"securityContext": {"privileged": true}}]}))
}

test_bare_pod_is_denied if {
	denied({"stage": {"kind": "deploy"}, "results": [{"document": {"kind": "Pod", "spec": {"hostPID": true, "containers": []}}}]})
}

test_scheduled_job_is_denied if {
	denied({"stage": {"kind": "deploy"}, "results": [{"document": {
		"kind": "CronJob", "metadata": {"name": 1},
		"spec": {"jobTemplate": {"spec": {"template": {"spec": {"hostIPC": true, "containers": []}}}}},
	}}]})
}

test_list_is_looked_into if {
	denied({"stage": {"kind": "deploy"}, "results": [{"document": {"kind": "List", "items": [
		{"kind": "Pod", "spec": {"hostPID": true, "containers": []}},
		"not an object",
	]}}]})
}

test_hardened_container_is_fine if {
	fine(container({"privileged": false, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}))
}

test_missing_context_is_fine if fine(pod({"containers": [{"name": "a"}]}))

test_other_volume_is_fine if fine(pod({"containers": [], "volumes": [{"name": "v", "emptyDir": {}}]}))

test_odd_shapes_are_fine if {
	fine({"stage": {"kind": "deploy"}, "results": [{"document": [
		1, {"kind": 2}, {"kind": "Pod"}, {"kind": "Pod", "spec": {"containers": "x"}},
		{"kind": "Pod", "spec": {"containers": [1, {"securityContext": "x"}], "volumes": "y"}},
	]}]})
}

test_no_result_is_fine if fine({"stage": {"kind": "deploy"}, "results": []})
test_stage_that_only_looks_is_fine if {
	fine(object.union(container({"privileged": true}), {"stage": {"kind": "scan"}}))
}
