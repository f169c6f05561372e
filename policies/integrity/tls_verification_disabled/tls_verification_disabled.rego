# METADATA
# title: Certificates are verified
# description: >-
#   Without verification an encrypted connection may end at anybody. What is downloaded can be replaced, what is sent,
#   tokens included, can be read. Not seen: options in configuration files.
# custom:
#   id: integrity.tls_verification_disabled
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, OWASP-CICD-SEC-3]
#   remediation: >-
#     Remove the option or variable. If the server's certificate comes from an own authority, give the tool that
#     authority's certificate (`--cacert`, `REQUESTS_CA_BUNDLE`, `GIT_SSL_CAINFO`, `NODE_EXTRA_CA_CERTS`).
package policyd.integrity.tls_verification_disabled

import data.policyd.lib.shell

deny contains violation if {
	some command in input.commands
	_skips_verification(command)
	violation := {
		"message": sprintf("%s is told not to verify certificates", [command.program]),
		"at": command.at,
	}
}

deny contains violation if {
	some variable in input.variables
	_switches_off(variable.name, variable.value)
	violation := {"message": sprintf("%s switches the verification of certificates off", [variable.name]), "at": variable.at}
}

deny contains violation if {
	some command in input.commands
	some assignment in shell.assignments(command)
	_switches_off(assignment[0], assignment[1])
	violation := {"message": sprintf("%v switches the verification of certificates off", [assignment[0]]), "at": command.at}
}

_switches_off("GIT_SSL_NO_VERIFY", value) if shell.is_on(value)

_switches_off(name, value) if {
	name in {"NODE_TLS_REJECT_UNAUTHORIZED", "PYTHONHTTPSVERIFY"}
	value == "0"
}

_switches_off(name, value) if {
	name in {"NPM_CONFIG_STRICT_SSL", "npm_config_strict_ssl", "YARN_ENABLE_STRICT_SSL", "CARGO_HTTP_CHECK_REVOKE"}
	value in {"false", "0"}
}

_switches_off(name, value) if {
	name in {"PIP_TRUSTED_HOST", "GOINSECURE", "UV_INSECURE_HOST"}
	value != ""
}

# Options without a value may be written together: -fsSLk. What follows an option with a value belongs to it.
_skips_verification(command) if {
	command.program == "curl"
	some word in command.argv
	regex.match(`^(--insecure|--proxy-insecure|-[#0-9afgijlnpqsvGILMNORSZ]*k[A-Za-z#0-9]*)$`, word)
}

_skips_verification(command) if {
	command.program == "wget"
	shell.has_word(command, {"--no-check-certificate"})
}

_skips_verification(command) if {
	command.program == "git"
	regex.match(`http(\.[^ \t]*)?\.sslVerify[ \t=]+["']?(false|0|no|off)`, command.text)
}

_skips_verification(command) if {
	command.program in {"pip", "pip3", "python", "python3", "uv"}
	some word in command.argv
	regex.match(`^(--trusted-host|--allow-insecure-host)(=.*)?$`, word)
}

_skips_verification(command) if {
	command.program in {"npm", "yarn", "pnpm"}
	regex.match(`strict-ssl[ \t=]+["']?(false|0)`, command.text)
}

_skips_verification(command) if {
	command.program in {"kubectl", "helm", "oc", "skopeo", "podman", "buildah", "crane"}
	some word in command.argv
	regex.match(`^(--insecure-skip-tls-verify(=true)?|--(src-|dest-)?tls-verify=false|--kube-insecure-skip-tls-verify|--insecure)$`, word)
}
