# METADATA
# title: Components and values are named plainly
# description: >-
#   `owner/repository/./x/../action@v1` means `owner/repository/action@v1`, and lists of what is allowed or forbidden don't find it.
#   Nobody writes so by accident. Seen are `.`, `..` and empty parts in paths of actions and reusable workflows, expressions
#   that only put together a text that could stand there itself, and parts of `github` and `env` whose name is put together.
#   Not seen: other spellings of the same repository, such as the name it had before.
# custom:
#   id: dependencies.obfuscated_reference
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4, OWASP-CICD-SEC-3]
#   applies_to: [github]
#   remediation: Write the path without `.`, `..` and double slashes, and the text or the name as it is.
package policyd.dependencies.obfuscated_reference

deny contains violation if {
	some text in _texts
	regex.match(`.[/\\](\.{0,2})[/\\]|[/\\](\.{0,2})(@|$)`, text)
	text != "./"
	some reference in input.references
	reference.text == text
	reference.kind in {"action", "workflow"}
	violation := {
		"message": sprintf("%v is written so that it is not found under its name", [text]),
		"at": reference.at,
	}
}

deny contains violation if {
	some expression in input.expressions
	expression.constant
	expression.sink != "condition"
	violation := {"message": sprintf("%v is always the same text", [expression.text]), "at": expression.at}
}

deny contains violation if {
	some expression in input.expressions
	expression.computed
	"format" in expression.functions
	regex.match(`(^|[^a-z_.])(github|env)(\.[a-z_.]+)?\[ *(format|join)\(`, expression.text)
	violation := {"message": sprintf("%v names what it reads by a text that it puts together", [expression.text]), "at": expression.at}
}

# Once each: there are far fewer than references.
_texts := {reference.text | some reference in input.references}
