# Kubernetes objects among the results of stages: one document, several, or a List. A result is written by a stage, so
# nothing in it has a type until it was asked for.
package policyd.lib.kubernetes

# [object, path] of every object that has a kind. A stage that only looks at manifests may do so whatever is in them.
objects contains [object_found, at] if {
	some [object_found, at] in _documents
	is_string(object_found.kind)
}

objects contains [item, array.concat(at, ["items", k])] if {
	some [list_found, at] in _documents
	is_array(list_found.items)
	some k, item in list_found.items
	is_object(item)
	is_string(item.kind)
}

# [pod specification, path, what it belongs to] of every workload.
pods contains [spec, array.concat(at, path), owner] if {
	some [workload, at] in objects
	some path in [["spec"], ["spec", "template", "spec"], ["spec", "jobTemplate", "spec", "template", "spec"]]
	spec := object.get(workload, path, null)
	is_object(spec)
	is_array(spec.containers)
	owner := name(workload)
}

# [container, path, what it belongs to] of every container, those that run first included.
containers contains [container, array.concat(at, [list_name, k]), owner] if {
	some [spec, at, owner] in pods
	some list_name in ["containers", "initContainers", "ephemeralContainers"]
	listed := object.get(spec, list_name, [])
	is_array(listed)
	some k, container in listed
	is_object(container)
}

# `Deployment/web`, or `Deployment` where it has no name.
name(workload) := sprintf("%v/%v", [workload.kind, workload.metadata.name]) if {
	is_object(workload.metadata)
	is_string(workload.metadata.name)
}

name(workload) := workload.kind if {
	found := object.get(workload, ["metadata", "name"], null)
	kind := type_name(found)
	kind != "string"
}

_documents contains [result.document, ["results", i, "document"]] if {
	input.stage.kind == "deploy"
	some i, result in input.results
	is_object(result.document)
}

_documents contains [document, ["results", i, "document", j]] if {
	input.stage.kind == "deploy"
	some i, result in input.results
	is_array(result.document)
	some j, document in result.document
	is_object(document)
}
