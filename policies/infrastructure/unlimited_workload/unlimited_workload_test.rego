package policyd.infrastructure.unlimited_workload_test

import data.policyd.infrastructure.unlimited_workload

pod(container) := {"stage": {"kind": "deploy"}, "results": [{"document": {"kind": "Pod", "spec": {"containers": [container]}}}]}

test_container_without_limit_is_reported if {
	found := unlimited_workload.deny with input as pod({"name": "a", "resources": {"limits": {"cpu": "1"}}})
	found == {{
		"message": "a container of Pod has no memory limit",
		"at": ["results", 0, "document", "spec", "containers", 0],
	}}
}

test_container_without_resources_is_reported if {
	count(unlimited_workload.deny) == 1 with input as pod({"name": "a"})
}

test_limited_container_is_fine if {
	count(unlimited_workload.deny) == 0 with input as pod({"resources": {"limits": {"memory": "1Gi"}}})
}

test_no_result_is_fine if {
	count(unlimited_workload.deny) == 0 with input as {"stage": {"kind": "deploy"}, "results": []}
}
