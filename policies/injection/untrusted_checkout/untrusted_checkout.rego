# METADATA
# title: Privileged stages do not check out strangers' code
# description: >-
#   A stage that has secrets or a token that writes, and checks out the code of a pull request from outside, hands both
#   to whoever wrote it: build files, test files, local actions and tools' configuration all run code. Seen: what runs
#   of it afterwards; where nothing is seen to, confidence is lower. Code in a folder of its own counts where something
#   there runs. In Azure a setting of the project decides whether builds of forks get secrets, so confidence is lower, and
#   something has to run. In a Tekton file of one stage with neither secrets nor an account of its own, something has to run too.
#   Conditions that keep strangers out, or that ask a member first, lift it.
#   Not seen: checks inside programs, and code that is fetched by other means than git.
# custom:
#   id: injection.untrusted_checkout
#   severity: critical
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4, NIST-SSDF-PO.5.1]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     Build contributions in a pipeline that has no secrets and a token that only reads (GitHub: `pull_request`), and let
#     a second one read only its results.
package policyd.injection.untrusted_checkout

import data.policyd.lib.trust

deny contains violation if {
	some stage in input.stages
	stage.privileged
	some checkout in input.checkouts
	checkout.stage == stage.name
	checkout.untrusted
	_counts(checkout, input.pipeline.dialect)
	guards := checkout.guards
	not trust.is_guarded(guards)
	violation := {
		"message": sprintf("%s has secrets or a token that writes, and checks out a stranger's code%v", [stage.name, _and_runs(checkout)]),
		"at": checkout.at,
		"confidence": _confidence(checkout, input.pipeline.dialect),
		"related": array.concat(trust.runs_of(checkout), [{"message": "the stage that is privileged", "at": stage.at}]),
	}
}

_and_runs(checkout) := "" if checkout.runs == ""

_and_runs(checkout) := sprintf(", which runs with %v", [checkout.runs]) if checkout.runs != ""

_counts(checkout, dialect) if {
	not dialect in {"azure", "tekton"}
	trust.may_run(checkout)
}

_counts(checkout, "tekton") if {
	checkout.runs != ""
}

# Nothing is seen to run: a pod's account that nobody chose is little to lose where no other task uses the code.
_counts(checkout, "tekton") if {
	checkout.runs == ""
	checkout.path == ""
	_has_powers
}

_counts(checkout, "azure") if checkout.runs != ""

# Other tasks share the folder, and may be written elsewhere.
_has_powers if count(input.stages) > 1

_has_powers if {
	some stage in input.stages
	stage.has_secrets
}

_has_powers if {
	some stage in input.stages
	stage.writes
}

_confidence(checkout, dialect) := trust.confidence(checkout) if dialect != "azure"

_confidence(_, "azure") := "medium"
