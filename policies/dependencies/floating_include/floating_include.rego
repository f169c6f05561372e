# METADATA
# title: What is included from an address is pinned
# description: >-
#   A file that is fetched from an address each time is whatever its server says at that moment, and is part of the
#   pipeline with all its secrets. Seen are `include: remote` of GitLab without `integrity`, and Tekton's http resolver and
#   remote tasks of Pipelines-as-Code without a commit in the address. Not seen: addresses made of variables.
# custom:
#   id: dependencies.floating_include
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-4, NIST-SSDF-PW.4.1]
#   applies_to: [gitlab, tekton]
#   settings:
#     trusted_addresses:
#       type: strings
#       default: []
#       tighter: subset
#       description: Beginnings of addresses that only you can change, such as `https://ci.example.com/`.
#   remediation: >-
#     Give the include an `integrity` (`sha256-…`), take the file by an address with a full commit in it, or copy it into the
#     repository.
package policyd.dependencies.floating_include

import data.policyd.lib.reference as references

deny contains violation if {
	some reference in input.references
	reference.kind in {"include", "template", "task", "workflow"}
	references.is_address(reference)
	references.is_mutable(reference)
	address := reference.text
	not _is_trusted(address)
	violation := {
		"message": sprintf("%s is fetched each time, whatever it is by then", [reference.text]),
		"at": reference.at,
	}
}

_is_trusted(address) if {
	some beginning in data.policyd.settings.dependencies.floating_include.trusted_addresses
	beginning != ""
	startswith(address, beginning)
}
