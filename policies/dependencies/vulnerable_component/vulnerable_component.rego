# METADATA
# title: No component has a known vulnerability
# description: >-
#   Somebody has published how the component can be misused, or that its release held foreign code. Seen are versions in tags, in
#   the comment beside a digest, and commits that are known to be bad, of actions, reusable workflows and images in the
#   list that comes with the policies (`data/components.json`). Where only tags were moved to foreign code, a digest is
#   found by its commit alone. Not seen: what is not in that list, a digest without a version beside it, and what a
#   component fetches itself.
# custom:
#   id: dependencies.vulnerable_component
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.4, NIST-SSDF-RV.1.1]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     Take the version that mends it, by its digest. Where a release held foreign code, also replace every secret that the
#     stage could reach while it ran.
package policyd.dependencies.vulnerable_component

import data.policyd.lib.reference as references
import data.policyd.lib.version

deny contains violation if {
	some [reference, advisory] in _listed
	_may_tell(advisory, reference)
	written := _written(reference)
	_is_affected(advisory, written)
	violation := {
		"message": sprintf("%v: %v, %v (%v)", [reference.text, advisory.summary, _end(advisory), advisory.id]),
		"at": reference.at,
		"confidence": _confidence(reference),
	}
}

deny contains violation if {
	some [reference, advisory] in _listed
	reference.ref in advisory.commits
	violation := {
		"message": sprintf("%v: %v (%v)", [reference.text, advisory.summary, advisory.id]),
		"at": reference.at,
	}
}

# Without its list the rule knows nothing, and must not look as if all were well.
deny contains violation if {
	not _has_list
	violation := {"message": "the list of vulnerable components is missing", "at": ["pipeline", "path"]}
}

_has_list if is_object(_vulnerable)

_listed := [[reference, advisory] |
	some kind, of_kind in _vulnerable
	some slug in references.slugs
	advisories := of_kind[slug]
	some reference in input.references
	reference.slug == slug
	_list[reference.kind] == kind
	not reference.local
	some advisory in advisories
]

# Reusable workflows are listed among actions, by the repository they are in.
_list := {"action": "action", "workflow": "action", "image": "image"}

# A digest from before the tags were moved names what it always named, whatever version stands beside it.
_may_tell(advisory, _) if not advisory.moved

_may_tell(_, reference) if not reference.pinned

_is_affected(advisory, written) if {
	found := version.newest(written)
	semver.compare(found, advisory.from) >= 0
	_is_before(found, advisory.fixed)
}

# Nothing mends it.
_is_before(_, fixed) if fixed == ""

_is_before(found, fixed) if {
	fixed != ""
	semver.compare(found, fixed) < 0
}

_end(advisory) := "and no version mends it" if advisory.fixed == ""

_end(advisory) := sprintf("mended in %v", [advisory.fixed]) if advisory.fixed != ""

_written(reference) := reference.ref if not reference.pinned

_written(reference) := version.in_comment(reference.comment) if {
	reference.pinned
	reference.kind != "image"
}

# `name:tag@digest`
_written(reference) := tag if {
	reference.pinned
	reference.kind == "image"
	found := regex.find_all_string_submatch_n(`:([^:@/]+)@`, reference.text, 1)
	groups := found[0]
	tag := groups[1]
}

default _confidence(_) := "high"

_confidence(reference) := "medium" if reference.pinned

# A rule of its own: looked up once, and not for every reference.
_vulnerable := data.policyd.known.components.vulnerable
