# METADATA
# title: A released artifact was made in a sandbox
# description: >-
#   A stage that ran without isolation could reach the keys and the products of others. The builder id says so too, and
#   the trust policy caps the SLSA level that can be claimed.
# custom:
#   id: isolation.unsandboxed_release
#   severity: low
#   gate: release
#   controls: [OWASP-CICD-SEC-7, SLSA-BUILD-L3]
#   remediation: Run the pipeline where bubblewrap works (`policyd doctor`), without `--sandbox none`.
package policyd.isolation.unsandboxed_release

import data.policyd.lib.evidence

deny contains violation if {
	some i, found in input.evidence
	not evidence.is_sandboxed(found)
	violation := {"message": sprintf("%s ran without a sandbox", [found.stage]), "at": ["evidence", i]}
}
