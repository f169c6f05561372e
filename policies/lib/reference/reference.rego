# What references to components have in common.
package policyd.lib.reference

# The slug of every reference, once: there are far fewer than references to look up.
slugs := {reference.slug | some reference in input.references}

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

# A plain address, not a repository at a revision.
is_address(reference) if {
	reference.ref == ""
	owner := reference.owner
	not contains(owner, "/")
	strings.any_prefix_match(reference.text, ["https://", "http://"])
}
