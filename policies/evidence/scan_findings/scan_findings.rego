# METADATA
# title: Nothing is deployed on findings that count
# description: >-
#   A deploy stage does not start while a scan it needs reports results of a level that counts (SARIF), which is error
#   unless settings name more. What level a finding has is the scanner's word.
# custom:
#   id: evidence.scan_findings
#   severity: medium
#   gate: stage
#   controls: [OWASP-CICD-SEC-1, NIST-SSDF-PW.7.2]
#   settings:
#     levels:
#       type: strings
#       choices: [error, warning, note]
#       default: [error]
#       tighter: superset
#       description: The levels of findings that count.
#     max_findings:
#       type: integer
#       default: 0
#       tighter: lower
#       description: How many findings of one level a scan may have.
#   remediation: Repair what was found, or set the finding's level in the scanner's own configuration, with the reason.
package policyd.evidence.scan_findings

import data.policyd.lib.evidence

_settings := data.policyd.settings.evidence.scan_findings

deny contains violation if {
	input.stage.kind == "deploy"
	some found in evidence.this_run
	some result in found.results
	result.kind == "sarif"
	some level in _settings.levels
	findings := object.get(result.counts, level, 0)
	findings > _settings.max_findings
	violation := {
		"message": sprintf("the scan %v of %v has findings of level %v: %v", [result.name, found.stage, level, findings]),
		"at": ["stage", "needs"],
	}
}
