# METADATA
# title: Updates run no code of what they update
# description: >-
#   With `insecure-external-code-execution: allow` Dependabot runs the manifests of packages it looks at, with access to the
#   credentials of your registries. Seen is the setting in dependabot.yml. Not seen: ecosystems that run code in any case.
# custom:
#   id: dependencies.update_execution
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4, OWASP-CICD-SEC-3, OWASP-CICD-SEC-6]
#   applies_to: [github]
#   remediation: Take the setting out, or write `deny`.
package policyd.dependencies.update_execution

deny contains violation if {
	input.pipeline.kind == "settings"
	some i, update in input.document.updates
	update["insecure-external-code-execution"] == "allow"
	violation := {
		"message": "updates run code of the packages they look at",
		"at": ["document", "updates", i, "insecure-external-code-execution"],
	}
}
