# METADATA
# title: Somebody known asked for the release
# description: >-
#   A requester that no key or token vouches for is a name anyone can write, so nothing that excludes the requester from
#   approving can be relied on.
# custom:
#   id: governance.unverified_requester
#   severity: low
#   gate: release
#   controls: [OWASP-CICD-SEC-2, OWASP-CICD-SEC-10]
#   remediation: Ask with a key or a CI token that the trust policy lists.
package policyd.governance.unverified_requester

deny contains violation if {
	input.requester.verified != true
	violation := {
		"message": sprintf("nobody vouches for the requester %s", [input.requester.identity]),
		"at": ["requester"],
	}
}
