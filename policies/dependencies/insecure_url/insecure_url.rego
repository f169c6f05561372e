# METADATA
# title: Code comes over encrypted connections
# description: >-
#   What is fetched over http, git or ftp can be changed by anyone on the way. Addresses of this machine, private
#   networks and services beside the stage are left out, and so are requests that keep nothing.
# custom:
#   id: dependencies.insecure_url
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-7]
#   settings:
#     allowed_hosts:
#       type: strings
#       default: []
#       tighter: subset
#       description: Hosts that may be reached without encryption, such as a mirror beside the runners.
#   remediation: Use https (or ssh for git), and compare what arrives with a digest written in the pipeline.
package policyd.dependencies.insecure_url

deny contains violation if {
	some effect in input.effects
	effect.kind == "insecure-url"
	effect.program != ""
	address := effect.detail
	not _is_allowed(address)
	violation := {
		"message": sprintf("%s fetches over an unencrypted connection", [effect.program]),
		"at": effect.at,
	}
}

deny contains violation if {
	some effect in input.effects
	effect.kind == "insecure-url"
	effect.program == ""
	address := effect.detail
	not _is_allowed(address)
	violation := {
		"message": sprintf("%s is fetched over an unencrypted connection", [effect.text]),
		"at": effect.at,
	}
}

_is_allowed(address) if {
	some found in regex.find_all_string_submatch_n(`://(?:[^/@]*@)?([^/:?#]*)`, address, 1)
	found[1] in data.policyd.settings.dependencies.insecure_url.allowed_hosts
}
