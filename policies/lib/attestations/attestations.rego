# What rules of the gate `release` ask of attestations.
package policyd.lib.attestations

# Those that may speak for the artifact: what the signed manifest of its run lists, and only where no run made it what was
# handed in. Also those that fail: whether one holds, each rule asks.
speaking := [attestation |
	some attestation in input.attestations
	_may_speak(attestation)
]

_may_speak(attestation) if attestation.listed

_may_speak(_) if input.run_id == ""
