# METADATA
# title: An operator governs the release
# description: >-
#   Without operator settings the repository is judged by rules that nobody outside it chose; then no SLSA level above 1
#   is claimed.
# custom:
#   id: governance.self_governed
#   severity: low
#   gate: release
#   controls: [OWASP-CICD-SEC-1, OWASP-CICD-SEC-5]
#   remediation: "Write operator settings outside the repository (`policyd init`), and run with them."
package policyd.governance.self_governed

deny contains violation if {
	input.governance != "operator"
	violation := {"message": "no operator settings govern this release", "at": ["governance"]}
}
