# METADATA
# title: Text from variables is not run as code
# description: >-
#   `eval "$X"` and `sh -c "$X"` run whatever the variable holds, so whoever can set it decides what the stage does, and
#   no review of the pipeline can say what that is. `eval "$(tool env)"` is left out.
# custom:
#   id: injection.evaluated_text
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   confidence: medium
#   remediation: Write the command out, and let the variable be one of its arguments.
package policyd.injection.evaluated_text

deny contains violation if {
	some effect in input.effects
	effect.kind == "evaluates"
	not _is_of_a_tool(effect)
	violation := {
		"message": sprintf("%s runs text that is only known when it runs: %s", [effect.program, effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}

# `eval "$(ssh-agent -s)"`
_is_of_a_tool(effect) if {
	effect.computed
	not effect.untrusted
}
