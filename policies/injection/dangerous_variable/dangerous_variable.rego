# METADATA
# title: No variable makes programs load foreign code
# description: >-
#   Some variables make every program, shell or interpreter load a file before it does its work, so a step that looks
#   harmless runs something else. Not seen: variables that a program sets for its children.
# custom:
#   id: injection.dangerous_variable
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   settings:
#     more_variables:
#       type: strings
#       default: []
#       tighter: superset
#       description: Further variables that no pipeline may set.
#   remediation: >-
#     Remove the variable. Name what has to be loaded as an argument of the one program that needs it, and folders in
#     PATH by their full path.
package policyd.injection.dangerous_variable

deny contains violation if {
	some effect in input.effects
	effect.kind == "loads-code"
	violation := {
		"message": sprintf("%v %s", [_name(effect), effect.detail]),
		"at": effect.at,
	}
}

_name(effect) := effect.text if effect.program == ""

_name(effect) := sprintf("a variable that %v sets", [effect.program]) if effect.program != ""

deny contains violation if {
	some variable in input.variables
	variable.origin == "environment"
	variable.name in data.policyd.settings.injection.dangerous_variable.more_variables
	violation := {"message": sprintf("%s may not be set here", [variable.name]), "at": variable.at}
}
