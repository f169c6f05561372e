# METADATA
# title: No component has a name that only looks like a well-known one
# description: >-
#   Who registers `action` waits for somebody who meant `actions`; the code that runs is then theirs. Seen are actions, reusable
#   workflows and images of Docker Hub that are called like a well-known one, of an owner whose name differs from the
#   known owner's in one character, in hyphens, or in a zero for an O and a one for an L. Not seen: other owners with
#   longer changes, and names that are not in `data/components.json`.
# custom:
#   id: dependencies.lookalike_component
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-4]
#   applies_to: [github, gitlab, azure, tekton]
#   confidence: medium
#   settings:
#     known_owners:
#       type: strings
#       default: []
#       tighter: subset
#       description: Owners, in lower case, whose name is what it should be.
#   remediation: Correct the name of the owner, and look at what ran under the wrong one so far.
package policyd.dependencies.lookalike_component

deny contains violation if {
	some [kind, slug] in _components
	parts := split(slug, "/")
	name := parts[count(parts) - 1]
	list := _list[kind]
	of_kind := _popular[list]
	owners := of_kind[name]
	owner := concat("/", array.slice(parts, 0, count(parts) - 1))
	not owner in owners
	not _is_known(owner)
	some known in owners
	_resembles(owner, known)
	some reference in input.references
	reference.slug == slug
	reference.kind == kind
	not reference.local
	violation := {
		"message": sprintf("%v is not of %v, whose name looks like it", [reference.text, known]),
		"at": reference.at,
	}
}

# Once each: there are far fewer than references.
_components := {[reference.kind, reference.slug] | some reference in input.references}

_list := {"action": "action", "workflow": "action", "image": "image"}

_is_known(owner) if owner in _owners

_is_known(owner) if owner in _chosen_owners

# The same registry under another name is a mirror.
_is_known(owner) if contains(owner, ".")

_is_known(owner) if owner == ""

_resembles(owner, known) if _plain(owner) == _plain(known)

# One character more, less, another, or two swapped: without one character each they are the same.
_resembles(owner, known) if {
	shorter := _without_one(known)
	some one in _without_one(owner)
	one in shorter
}

_plain(name) := replace(replace(replace(replace(name, "-", ""), "_", ""), "0", "o"), "1", "l")

_without_one(name) := array.concat([letters], [one |
	some i in numbers.range(0, count(letters) - 1)
	one := array.concat(array.slice(letters, 0, i), array.slice(letters, i + 1, count(letters)))
]) if {
	letters := split(name, "")
}

# A rule of its own: looked up once, and not for every reference.
_popular := data.policyd.known.components.popular

_owners := data.policyd.known.components.owners

_chosen_owners := data.policyd.settings.dependencies.lookalike_component.known_owners
