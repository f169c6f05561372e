# METADATA
# title: What is released is not made from a cache
# description: >-
#   A stage that publishes and restores a cache builds from what earlier, less trusted runs left there: who takes over
#   any of them writes into the release. Seen: caches that stages restore which publish, or that a release starts. GitLab
#   keeps caches of protected branches apart, so there only shared ones count. Not seen: caches outside the CI system.
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
	violation := {
		"message": sprintf("%s releases what it makes, and restores a cache that other runs write (%s)", [cache.stage, cache.text]),
		"at": cache.at,
	}
}

_written_by_others(cache) if cache.untrusted

_written_by_others(_) if input.pipeline.dialect != "gitlab"
