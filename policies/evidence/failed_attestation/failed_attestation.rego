# METADATA
# title: Every attestation that is handed in holds
# description: >-
#   An attestation that was handed in and does not verify (changed, signed by nobody of the trust policy, of another
#   artifact) is a reason to stop and look, not one to look away: otherwise whoever hands them in chooses which count.
#   Those that a run's manifest lists were verified before any rule is asked. Not seen: attestations that nobody handed in.
# custom:
#   id: evidence.failed_attestation
#   severity: critical
#   level: hard
#   gate: release
#   controls: [OWASP-CICD-SEC-9, NIST-SSDF-PS.2.1]
#   remediation: >-
#     Get the attestation again from its signer, add the signer to the trust policy, or find out who changed it. Leave it
#     out only if it is of something else.
package policyd.evidence.failed_attestation

deny contains violation if {
	some number, attestation in input.attestations
	not attestation.verified
	violation := {
		"message": sprintf(
			"the attestation sha256:%v (%v) does not hold, check %v: %v",
			[substring(attestation.sha256, 0, 12), attestation.predicate_type, attestation.check, attestation.reason],
		),
		"at": ["attestations", number],
	}
}
