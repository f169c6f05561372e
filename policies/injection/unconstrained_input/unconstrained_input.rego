# METADATA
# title: What may be any text does not become part of a script
# description: >-
#   An input of a workflow, action, component, template or task, the name of a branch, tag or release, and the payload of
#   a dispatch are pasted into the script as they are: whoever starts, calls or names it writes script, and a caller that
#   hands on a stranger's text lets the stranger. Not seen, because nothing can be written with them: inputs that are a
#   number, a truth or one of a list, and branches that the trigger lists by name. A caller that does hand on a stranger's
#   text is injection.untrusted_call.
# custom:
#   id: injection.unconstrained_input
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github, gitlab, azure, tekton]
#   confidence: medium
#   remediation: >-
#     Hand the input to the script in an environment variable, or limit it (GitHub `type: choice`, GitLab `options` or
#     `regex`, Azure `values`, Tekton `enum`).
package policyd.injection.unconstrained_input

deny contains violation if {
	some expression in input.expressions
	expression.open
	expression.sink == "script"
	violation := {
		"message": sprintf("%s, which can be any text, becomes part of a script", [expression.text]),
		"at": expression.at,
	}
}
