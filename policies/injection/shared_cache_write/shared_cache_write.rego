# METADATA
# title: No stranger's code writes caches that others restore
# description: >-
#   Under pull_request_target, issue_comment or workflow_run a run belongs to the default branch, and every branch and
#   release restores the caches it saves. Code of a pull request that runs there writes them, even where the token only
#   reads; so does code of unprotected branches where GitLab's `cache: unprotect` mixes both. Not seen: caches that
#   programs keep elsewhere.
# custom:
#   id: injection.shared_cache_write
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-9, OWASP-CICD-SEC-4, SLSA-BUILD-L3]
#   applies_to: [github, gitlab]
#   remediation: >-
#     Run code of contributions under `pull_request`, whose caches nobody else restores, and leave `unprotect` out. Where
#     the default branch's run is needed, check nothing out that a stranger wrote.
package policyd.injection.shared_cache_write

import data.policyd.lib.trust

deny contains violation if {
	some cache in input.caches
	cache.saves
	cache.untrusted
	_matters(cache)
	violation := {
		"message": sprintf("the cache that %s saves can hold what a stranger's code left, and other branches restore it", [cache.stage]),
		"at": cache.at,
		"confidence": _confidence,
	}
}

# Without a step that saves a cache too: whoever runs code in the scope of the default branch can save one.
deny contains violation if {
	_in_default_scope
	some checkout in input.checkouts
	checkout.untrusted
	checkout.runs != ""
	guards := checkout.guards
	not trust.is_guarded(guards)
	some stage in input.stages
	stage.name == checkout.stage
	stage.untrusted
	not stage.privileged
	violation := {
		"message": sprintf("a stranger's code runs in %s (%s), where it can write the default branch's caches", [stage.name, checkout.runs]),
		"at": checkout.at,
		"confidence": "medium",
		"related": [{"message": "what runs of it", "at": checkout.runs_at}],
	}
}

# All that strangers can start it with belongs to the default branch.
_in_default_scope if {
	input.pipeline.dialect == "github"
	outside := [trigger | some trigger in input.triggers; trigger.trust == "untrusted"]
	count(outside) > 0
	every trigger in outside {
		trigger.privileged
	}
}

# GitLab mixes what unprotected branches wrote only with the stages that restore it.
_matters(_) if input.pipeline.dialect == "github"

_matters(cache) if {
	input.pipeline.dialect == "gitlab"
	cache.key != ""
}

_confidence := "high" if input.pipeline.dialect == "github"

_confidence := "medium" if input.pipeline.dialect == "gitlab"
