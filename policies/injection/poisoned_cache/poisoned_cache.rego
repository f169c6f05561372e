# METADATA
# title: What is released is not made from a cache
# description: >-
#   A stage that publishes and restores a cache builds from what earlier, less trusted runs left there: who takes over
#   any of them writes into the release. Seen: caches that stages restore which publish, sign, package or hand files on,
#   and all caches of a pipeline that only releases and tags start. GitLab keeps caches of protected branches apart, so
#   there only shared ones count. Not seen: caches outside the CI system, and those of Docker's tools alone.
# custom:
#   id: injection.poisoned_cache
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-9, SLSA-BUILD-L3]
#   applies_to: [github, gitlab, azure]
#   confidence: medium
#   remediation: >-
#     Build releases without a cache (leave the cache step out, or set the action's option to `false`), or in a stage of
#     its own whose product the publishing stage takes.
package policyd.injection.poisoned_cache

deny contains violation if {
	some cache in input.caches
	cache.restores
	cache.publishes
	_written_by_others(cache)
	text := cache.text
	not startswith(text, "docker/setup-")
	_can_release
	some stage in input.stages
	stage.name == cache.stage
	_makes_release(stage)
	violation := {
		"message": sprintf("%s releases what it makes, and restores a cache that other runs write (%s)", [cache.stage, cache.text]),
		"at": cache.at,
	}
}

_written_by_others(cache) if cache.untrusted

_written_by_others(_) if input.pipeline.dialect != "gitlab"

# A pull request's run has nothing to release with.
_can_release if {
	some trigger in input.triggers
	trigger.trust != "untrusted"
}

_can_release if {
	some trigger in input.triggers
	trigger.privileged
}

_makes_release(stage) if {
	some purpose in stage.purposes
	purpose in {"publish", "deploy", "sign", "package"}
}

# What it makes is handed to a stage that releases it.
_makes_release(stage) if {
	some use in input.artifacts
	use.stage == stage.name
	use.direction == "upload"
}

_makes_release(_) if _only_releases

_only_releases if {
	count(input.triggers) > 0
	every trigger in input.triggers {
		_is_release(trigger)
	}
}

_is_release(trigger) if trigger.event in {"release", "workflow_dispatch", "workflow_call", "manual"}

_is_release(trigger) if {
	count(trigger.branches) > 0
	every branch in trigger.branches {
		startswith(branch, "refs/tags/")
	}
}
