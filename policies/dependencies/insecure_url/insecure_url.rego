# METADATA
# title: Code comes over encrypted connections
# description: >-
#   What is fetched over http, git or ftp can be changed by anyone on the way. Addresses of this machine, private
#   networks and services beside the stage are left out, and so are requests that keep nothing.
# custom:
#   id: dependencies.insecure_url
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, OWASP-CICD-SEC-7]
#   settings:
#     allowed_hosts:
#       type: strings
#       default: []
#       tighter: subset
#       description: Hosts that may be reached without encryption, such as a mirror beside the runners.
#   remediation: Use https (or ssh for git), and compare what arrives with a digest written in the pipeline.
package policyd.dependencies.insecure_url

import data.policyd.lib.text

deny contains violation if {
	some command in input.commands
	_keeps_what_it_fetches(command)
	some word in command.argv
	_is_insecure(word)
	violation := {
		"message": sprintf("%s fetches over an unencrypted connection", [command.program]),
		"at": command.at,
	}
}

deny contains violation if {
	some variable in input.variables
	variable.name in {
		"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY",
		"npm_config_registry", "GOPROXY", "CARGO_REGISTRY_INDEX",
	}
	_is_insecure(variable.value)
	violation := {
		"message": sprintf("%s names a package index over an unencrypted connection", [variable.name]),
		"at": variable.at,
	}
}

deny contains violation if {
	some reference in input.references
	_is_insecure(reference.text)
	violation := {
		"message": sprintf("%s is fetched over an unencrypted connection", [reference.text]),
		"at": reference.at,
	}
}

_is_insecure(word) if {
	some found in regex.find_all_string_submatch_n(
		`(?:^|[=+ ,])(?:http|git|ftp)://(?:[^/@]*@)?(\[|[^/:?#]*)`,
		word, -1,
	)
	host := found[1]
	not text.is_near(host)
	not _is_allowed(host)
}

_is_allowed(host) if host in data.policyd.settings.dependencies.insecure_url.allowed_hosts

_keeps_what_it_fetches(command) if {
	command.program in {
		"wget", "git", "pip", "pip3", "python", "python3", "npm", "pnpm", "yarn", "gem", "go", "cargo",
		"helm", "aria2c",
	}
}

_keeps_what_it_fetches(command) if {
	command.program == "curl"
	command.pipes_to != ""
}

_keeps_what_it_fetches(command) if {
	command.program == "curl"
	some word in command.argv
	regex.match(`^(-[A-Za-z]*[oO].*|--output.*|--remote-name.*)$`, word)
	discards := {"/dev/null"}
	discarded := {word2 | some word2 in command.argv; word2 in discards}
	count(discarded) == 0
}
