# METADATA
# title: Components that install tools are told which version
# description: >-
#   A pinned action that fetches the newest release of its tool each time runs code nobody looked at all the same. Seen are
#   actions and Azure tasks in the list that comes with the policies (`data/components.json`), told `latest` or a like word,
#   or told nothing where they then take the newest. Not seen: tools fetched without being asked, and versions that come
#   from a variable or a file.
# custom:
#   id: dependencies.unpinned_tool
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.1]
#   applies_to: [github, azure]
#   remediation: Give the component the version of the tool, and let an update tool raise it.
package policyd.dependencies.unpinned_tool

import data.policyd.lib.reference as references

deny contains violation if {
	some [reference, known] in _installing
	some name in known.inputs
	value := reference.inputs[name]
	value in {"latest", "latest-stable", "*", "newest", "node", "nightly", "edge", "canary", "main", "master"}
	violation := {
		"message": sprintf("%v installs what is newest each time (%v: %v)", [reference.text, name, value]),
		"at": object.get(object.get(reference, "inputs_at", {}), name, reference.at),
	}
}

deny contains violation if {
	some [reference, known] in _installing
	known.newest_by_default
	inputs := reference.inputs
	names := known.inputs
	not _is_told(inputs, names)
	violation := {
		"message": sprintf("%v is told no version (%v), so it installs what is newest each time", [reference.text, names[0]]),
		"at": reference.at,
	}
}

_installing := [[reference, known] |
	some kind, of_kind in _tools
	some slug in references.slugs
	known := of_kind[slug]
	some reference in input.references
	reference.slug == slug
	reference.kind == kind
]

_is_told(inputs, names) if {
	some name in names
	inputs[name] != ""
}

# A rule of its own: looked up once, and not for every reference.
_tools := data.policyd.known.components.tools
