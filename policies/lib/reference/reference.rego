# What references to components have in common.
package policyd.lib.reference

# Others can change what it names. Where a value makes a part of the name, only a version that is written out tells.
is_mutable(reference) if {
	not reference.local
	not reference.pinned
	not reference.computed
}

is_mutable(reference) if {
	not reference.local
	not reference.pinned
	reference.computed
	ref := reference.ref
	ref != ""
	not contains(ref, "$")
	not contains(ref, "{{")
}

is_address(reference) if startswith(reference.text, "https://")

is_address(reference) if startswith(reference.text, "http://")
