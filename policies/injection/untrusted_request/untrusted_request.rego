# METADATA
# title: Strangers do not choose what a privileged stage requests
# description: >-
#   An address made of a stranger's text leads a stage that has secrets or a token that writes to another host, or to
#   another resource of the same host, with the credentials it holds. Seen: addresses given to curl, wget, gh api and
#   their like. Not seen: requests of other programs.
# custom:
#   id: injection.untrusted_request
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     Write host and path out, and let a stranger's text be data of the request only (`curl --data-urlencode`, `gh api -f`),
#     after checking its form.
package policyd.injection.untrusted_request

deny contains violation if {
	some effect in input.effects
	effect.kind == "request"
	effect.untrusted
	some stage in input.stages
	stage.name == effect.stage
	stage.privileged
	violation := {
		"message": sprintf("%s requests %s, which a stranger can write", [effect.program, effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
