# METADATA
# title: Components are not asked for what weakens them
# description: >-
#   Some inputs turn a careful component into one that installs without a lock file, believes any server or takes files of
#   strangers. Seen are inputs of well-known actions and Azure tasks that the rule lists, where they are written out, and
#   steps that ask for the shell `cmd`, in which a quoted variable is still read as code. Not seen: the same asked of a
#   program in a script, and values from variables.
# custom:
#   id: dependencies.risky_input
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, OWASP-CICD-SEC-3]
#   applies_to: [github, azure]
#   remediation: Leave the input out, or take the safe value that the message names.
package policyd.dependencies.risky_input

import data.policyd.lib.reference as references

deny contains violation if {
	some slug in references.slugs
	some risk in _risks[slug]
	some reference in input.references
	reference.slug == slug
	value := reference.inputs[risk.input]
	_is_risky(risk, value)
	violation := {
		"message": sprintf("%v of %v %v", [risk.input, reference.text, risk.what]),
		"at": object.get(object.get(reference, "inputs_at", {}), risk.input, reference.at),
	}
}

deny contains violation if {
	some effect in input.effects
	effect.kind == "weak-shell"
	violation := {
		"message": "the shell cmd reads what its variables hold as code, quoted or not: use pwsh or bash",
		"at": effect.at,
	}
}

_is_risky(risk, value) if value in risk.values

_is_risky(risk, value) if {
	"any" in risk.values
	not value in {"", "false"}
}

_risks := {
	"actions/setup-python": [{
		"input": "pip-install", "values": ["any"],
		"what": "installs packages for all that follows, by name: install them from a lock file with hashes",
	}],
	"actions/checkout": [{
		"input": "ssh-strict", "values": ["false"],
		"what": "believes any server that answers: leave it at true",
	}],
	"hashicorp/vault-action": [{
		"input": "tlsSkipVerify", "values": ["true"],
		"what": "hands the token to any server that answers: give it the certificate of the authority (caCertificate)",
	}],
	"dawidd6/action-download-artifact": [{
		"input": "allow_forks", "values": ["true"],
		"what": "takes what strangers made in their copy of the repository: leave it at false",
	}],
	"azure/k8s-deploy": [{
		"input": "skip-tls-verify", "values": ["true"],
		"what": "believes any server that answers: leave it at false",
	}],
	"codecov/codecov-action": [{
		"input": "skip_validation", "values": ["true"],
		"what": "runs the uploader without looking at its signature: leave it at false",
	}],
	"pipauthenticate": [{
		"input": "onlyaddextraindex", "values": ["true"],
		"what": "lets the public index answer for your own packages: leave it at false",
	}],
	"nugetcommand": [{
		"input": "includenugetorg", "values": ["true"],
		"what": "lets the public index answer for your own packages: name an upstream in your feed",
	}],
	"dotnetcorecli": [{
		"input": "includenugetorg", "values": ["true"],
		"what": "lets the public index answer for your own packages: name an upstream in your feed",
	}],
	"kubernetes": [{
		"input": "acceptuntrustedcerts", "values": ["true"],
		"what": "believes any server that answers: leave it at false",
	}],
}
