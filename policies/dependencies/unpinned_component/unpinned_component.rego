# METADATA
# title: Actions, templates and other components are pinned to a digest
# description: >-
#   A tag or branch can be moved to other code after it was reviewed; then that code runs with all that the stage may
#   do. A full digest always means the same bytes. Seen are actions and reusable workflows, files and components of other
#   projects, repositories that templates come from, tasks of a marketplace, and tasks that a resolver fetches. Tasks and
#   templates that come with the CI system itself can't be pinned further and are left out. Not seen: what a pinned
#   action itself fetches.
# custom:
#   id: dependencies.unpinned_component
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.1]
#   applies_to: [github, gitlab, azure, tekton]
#   settings:
#     trusted_owners:
#       type: strings
#       default: []
#       tighter: subset
#       description: Owners whose components need no digest, such as your own organisation.
#   remediation: >-
#     Replace the tag or branch with the full digest it points to and keep the version in a comment beside it, where
#     an update tool finds it. A task of a hub is taken by the commit of its repository, or as a bundle by digest.
package policyd.dependencies.unpinned_component

import data.policyd.lib.reference as references

deny contains violation if {
	some reference in input.references
	not reference.pinned
	reference.kind in _kinds
	references.is_mutable(reference)
	not references.is_address(reference)
	not _is_of_the_system(reference)
	not _is_trusted(reference)
	violation := {
		"message": sprintf("%s is not pinned to a digest", [reference.text]),
		"at": reference.at,
	}
}

# An image has a rule of its own. A template of another repository is pinned where that repository is named; a pipeline
# that is started elsewhere does not run here.
_kinds := {
	"github": {"action", "workflow"},
	"gitlab": {"include", "component"},
	"azure": {"task", "repository"},
	"tekton": {"task", "workflow", "action"},
}[input.pipeline.dialect]

_is_of_the_system(reference) if {
	input.pipeline.dialect == "azure"
	reference.kind == "task"
	reference.owner == ""
}

_is_trusted(reference) if {
	reference.owner in _trusted_owners
}

# A rule of its own: looked up once, and not for every reference.
_trusted_owners := data.policyd.settings.dependencies.unpinned_component.trusted_owners
