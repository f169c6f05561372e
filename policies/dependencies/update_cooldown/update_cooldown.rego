# METADATA
# title: Updates wait some days before they are taken
# description: >-
#   Releases with foreign code in them are mostly found within days; who takes each on its first day takes those too.
#   Seen is `cooldown` in dependabot.yml; updates that mend a vulnerability never wait. Ecosystems whose version updates are off
#   (`open-pull-requests-limit: 0`) need none. Not seen: Renovate, and package managers that wait themselves.
# custom:
#   id: dependencies.update_cooldown
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.4]
#   applies_to: [github]
#   settings:
#     min_days:
#       type: integer
#       default: 7
#       tighter: higher
#       description: How many days an update has to wait at least.
#   remediation: "Write `cooldown: {default-days: 7}` into the entry."
package policyd.dependencies.update_cooldown

deny contains violation if {
	input.pipeline.kind == "settings"
	some i, update in input.document.updates
	object.get(update, "open-pull-requests-limit", 5) != 0
	cooldown := object.get(update, "cooldown", {})
	not _waits(cooldown)
	violation := {
		"message": sprintf("updates of %v wait less than %v days", [object.get(update, "package-ecosystem", ""), _min_days]),
		"at": ["document", "updates", i, "package-ecosystem"],
	}
}

_min_days := data.policyd.settings.dependencies.update_cooldown.min_days

_waits(cooldown) if {
	days := cooldown["default-days"]
	is_number(days)
	days >= _min_days
}
