# Terraform plans among the results of stages (`terraform show -json`). A result is written by a stage, so nothing in it
# has a type until it was asked for.
package policyd.lib.terraform

# [resource change, path] of every resource that will exist after the plan is applied.
changes contains [change, at] if {
	some [change, at] in all_changes
	is_object(change.change.after)
}

# [resource change, path] of every entry of every plan. A stage that only looks at a plan may do so whatever is in it.
all_changes contains [change, ["results", i, "document", "resource_changes", j]] if {
	input.stage.kind == "deploy"
	some i, result in input.results
	is_object(result.document)
	is_array(result.document.resource_changes)
	some j, change in result.document.resource_changes
	is_object(change)
	is_object(change.change)
	is_string(change.type)
	is_string(change.address)
}

# The items of a value that should be a list; none where it is something else.
list(value) := value if is_array(value)

list(value) := [] if {
	kind := type_name(value)
	kind != "array"
}
