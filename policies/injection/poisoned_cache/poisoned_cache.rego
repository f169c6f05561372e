# METADATA
# title: What is released is not made from a cache
# description: >-
#   A stage that publishes and restores a cache builds from what earlier, less trusted runs left there: who takes over
#   any of them writes into the release. Seen: caches that stages restore which publish, sign or package; with less
#   confidence all caches of a pipeline that a release or tag starts, and caches of tools alone. GitLab keeps caches of
#   protected branches apart, so there only shared ones count. Not seen: caches outside the CI system.
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
	some trigger in input.triggers
	_can_release(trigger)
	some stage in input.stages
	stage.name == cache.stage
	violation := {
		"message": sprintf("%s releases what it makes, and restores a cache that other runs write (%s)", [cache.stage, cache.text]),
		"at": cache.at,
		"confidence": _confidence(cache, stage),
	}
}

_written_by_others(cache) if cache.untrusted

_written_by_others(_) if input.pipeline.dialect != "gitlab"

# A pull request's run has nothing to release with.
_can_release(trigger) if trigger.trust != "untrusted"

_can_release(trigger) if trigger.privileged

_confidence(cache, stage) := "medium" if {
	_makes_release(stage)
	not _is_of_tools(cache)
}

_confidence(cache, stage) := "low" if {
	_makes_release(stage)
	_is_of_tools(cache)
}

_confidence(_, stage) := "low" if not _makes_release(stage)

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

_is_of_tools(cache) if startswith(cache.text, "docker/setup-")
