# METADATA
# title: Nothing downloaded is run unseen
# description: >-
#   `curl … | sh` runs whatever the server, or whoever stands between, sends at that moment, and leaves nothing to look
#   at afterwards. A file that is saved, made executable and run in the same script counts too, and so does an archive whose
#   content is run there, unless the digest or signature is checked in between. Not seen: a file that a later step runs.
# custom:
#   id: dependencies.unverified_script
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-9]
#   remediation: >-
#     Download to a file, compare its digest with one written in the pipeline (`sha256sum --check`), then run it; or
#     install the tool from a lock file.
package policyd.dependencies.unverified_script

deny contains violation if {
	some effect in input.effects
	effect.kind == "download-run"
	violation := {
		"message": sprintf("what %s downloads is run without being verified", [effect.program]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
