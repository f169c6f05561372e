# What rules of the gate `release` ask of attestations.
package policyd.lib.attestations

# Those that may speak for the artifact: what the signed manifest of its run lists, and only where no run made it what was
# handed in. Also those that fail: whether one holds, each rule asks.
speaking := [attestation |
	some attestation in input.attestations
	_may_speak(attestation)
	_is_for_here(attestation)
]

_may_speak(attestation) if attestation.listed

_may_speak(_) if input.run_id == ""

# An approval names the target that it is for. Of one that fails nothing is known, so it is looked at.
_is_for_here(attestation) if attestation.predicate_type != approval

_is_for_here(attestation) if attestation.verified == false

_is_for_here(attestation) if attestation.fields["/target"] == input.target

approval := "https://policyd.dev/attestation/approval/v1"

# Who asked for an approval, as those say who granted one: none of these grants any.
asking contains person if {
	some attestation in speaking
	attestation.verified
	attestation.predicate_type == approval
	person := attestation.fields["/requested_by"]
}
