# METADATA
# title: Every gate of the run allowed
# description: >-
#   A release needs the decision that let the pipeline run and one for each stage that left evidence, all of them
#   `allow`. A decision that is missing counts like one that denies.
# custom:
#   id: evidence.denied_decision
#   severity: critical
#   level: hard
#   gate: release
#   controls: [OWASP-CICD-SEC-1]
#   remediation: Repair what the decision names, and run the pipeline again.
package policyd.evidence.denied_decision

deny contains violation if {
	some i, decision in input.decisions
	decision.verdict != "allow"
	violation := {
		"message": sprintf("the gate %s %s decided %s", [decision.gate, decision.stage, decision.verdict]),
		"at": ["decisions", i],
	}
}

deny contains violation if {
	checks := [decision | some decision in input.decisions; decision.gate == "pipeline"; decision.verdict == "allow"]
	count(checks) == 0
	violation := {"message": "no decision says that the pipeline was allowed to run", "at": ["decisions"]}
}

deny contains violation if {
	some i, evidence in input.evidence
	admitted := [decision |
		some decision in input.decisions
		decision.gate == "stage"
		decision.stage == evidence.stage
		decision.verdict == "allow"
	]
	count(admitted) == 0
	violation := {
		"message": sprintf("no decision says that %s was allowed to start", [evidence.stage]),
		"at": ["evidence", i],
	}
}
