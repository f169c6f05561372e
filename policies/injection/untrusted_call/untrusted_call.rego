# METADATA
# title: No stranger's text is handed to what runs it
# description: >-
#   A reusable workflow, an action, a component or a template pastes its input into a script; who calls it with a title or
#   branch name lets strangers write that script, in a file that looks harmless by itself. Seen: files of this repository,
#   also where they hand the input on. Not seen: called files of other repositories.
# custom:
#   id: injection.untrusted_call
#   severity: critical
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github, azure, tekton]
#   remediation: >-
#     In the file that is called, put the input into an environment variable and use that, in quotes. Where it is not
#     yours, check the value before handing it over.
package policyd.injection.untrusted_call

deny contains violation if {
	some flow in input.flows
	flow.kind == "call"
	flow.sink == "script"
	violation := {
		"message": sprintf("%s, which a stranger can write, is given as %s and becomes part of a script at %s", [flow.value, flow.name, flow.place]),
		"at": flow.at,
		"related": [{"message": "where it becomes part of a script", "at": flow.lands} | count(flow.lands) > 0],
	}
}
