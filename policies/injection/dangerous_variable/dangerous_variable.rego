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

import data.policyd.lib.shell

deny contains violation if {
	some variable in input.variables
	variable.origin == "environment"
	reason := _reason(variable.name, variable.value)
	violation := {"message": sprintf("%s %v", [variable.name, reason]), "at": variable.at}
}

deny contains violation if {
	some command in input.commands
	some assignment in shell.assignments(command)
	reason := _reason(assignment[0], assignment[1])
	violation := {"message": sprintf("%v %v", [assignment[0], reason]), "at": command.at}
}

deny contains violation if {
	some variable in input.variables
	variable.origin == "environment"
	variable.name in data.policyd.settings.injection.dangerous_variable.more_variables
	violation := {"message": sprintf("%s may not be set here", [variable.name]), "at": variable.at}
}

_reason(name, value) := "makes every program load a library first" if {
	name in {"LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES"}
	value != ""
}

_reason(name, value) := "makes every shell run a file first" if {
	name in {"BASH_ENV", "PROMPT_COMMAND"}
	value != ""
}

_reason(name, value) := "makes every interpreter run a file first" if {
	name in {"PYTHONSTARTUP", "PERL5OPT", "PERL5DB", "RUBYOPT"}
	regex.match(`[/.]|-[rM]`, value)
}

_reason(name, value) := "makes node load a file first" if {
	name == "NODE_OPTIONS"
	regex.match(`--(require|import|loader|experimental-loader)|(^|[ \t])-r[ \t=]`, value)
}

_reason(name, value) := "makes java load an agent first" if {
	name in {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"}
	regex.match(`-(javaagent|agentpath|agentlib)`, value)
}

_reason(name, value) := "makes git run another program" if {
	name in {"GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH", "GIT_PAGER"}
	not value in {"", "cat", "less"}
}

_reason(name, value) := "lets programs of the working folder or of /tmp stand in for others" if {
	name == "PATH"
	regex.match(`^(\.|:|/tmp|/var/tmp|/dev/shm)|:(\.|:|/tmp|/var/tmp|/dev/shm)|:$`, value)
}
