# METADATA
# title: No command opens a shell to somebody else
# description: >-
#   A shell whose input and output is a network connection hands the machine, its secrets and what it builds to whoever
#   is at the other end. Not seen: shells in compiled programs or in text that is decoded first.
# custom:
#   id: injection.reverse_shell
#   severity: critical
#   level: hard
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   remediation: >-
#     Remove the command and treat every secret the pipeline could read as known to others. To look into a failing
#     stage, run it again where there are no secrets.
package policyd.injection.reverse_shell

deny contains violation if {
	some command in input.commands
	_opens_shell(command)
	not _only_prints(command)
	violation := {
		"message": sprintf("%s connects a shell to the network", [command.program]),
		"at": command.at,
	}
}

# Waiting for a port (`< /dev/tcp/db/5432`) is no shell; an interactive shell or one fed by the connection is.
_opens_shell(command) if regex.match(`sh[ \t]+-[a-z]*i[a-z]*[ \t].*/dev/(tcp|udp)/`, command.text)

_opens_shell(command) if regex.match(`/dev/(tcp|udp)/[^ \t]+.*[0-9]?[<>]&[0-9].*sh([ \t]|$)`, command.text)

_opens_shell(command) if {
	command.program in {"nc", "ncat", "netcat", "nc.traditional", "nc.openbsd"}
	some word in command.argv
	regex.match(`^(-[a-z]*[ec]|--exec|--sh-exec)(=.*)?$`, word)
	some other in command.argv
	regex.match(`(^|[/=])(ba|da|z|k|a|c)?sh$|^cmd(\.exe)?$|powershell`, other)
}

_opens_shell(command) if {
	command.program == "socat"
	some word in command.argv
	regex.match(`(?i)^(exec|system):`, word)
	regex.match(`(?i)(tcp|udp|openssl|ssl)[0-9a-z-]*:`, command.text)
}

_opens_shell(command) if {
	command.program in {"python", "python2", "python3", "perl", "ruby", "php", "node"}
	regex.match(`(?i)socket`, command.text)
	regex.match(`dup2|pty\.spawn|exec[ \t(]+["']/bin/(ba)?sh`, command.text)
}

_only_prints(command) if {
	command.program in {"echo", "printf", "grep", "rg"}
	command.pipes_to == ""
}
