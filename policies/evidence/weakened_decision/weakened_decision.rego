# METADATA
# title: No check of the run was weakened
# description: >-
#   A signature that was skipped, another time or a weaker sandbox is written into the decision it touched; a release
#   repeats it, so that nobody has to look for it.
# custom:
#   id: evidence.weakened_decision
#   severity: low
#   gate: release
#   controls: [OWASP-CICD-SEC-10, OWASP-CICD-SEC-1]
#   remediation: Run the pipeline again without the option that weakened the check.
package policyd.evidence.weakened_decision

deny contains violation if {
	some i, decision in input.decisions
	some reason in decision.weakened
	violation := {"message": sprintf("a check was weakened: %s", [reason]), "at": ["decisions", i]}
}
