# METADATA
# title: Packages are published without a lasting token
# description: >-
#   PyPI, npm, crates.io and RubyGems trust a pipeline by the identity its CI system proves (OIDC): there is no token then
#   that can leak or be used elsewhere. Seen are the tokens that well-known publishers are given. Not seen: whether the
#   registry is one of one's own, which may know no trusted publishing, and tokens in settings files.
# custom:
#   id: credentials.long_lived_publish_token
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-6]
#   applies_to: [github, gitlab]
#   confidence: medium
#   remediation: >-
#     Register the pipeline as a trusted publisher at the registry, grant the job an identity token (GitHub: `id-token:
#     write`; GitLab: `id_tokens`), and remove the token.
package policyd.credentials.long_lived_publish_token

import data.policyd.lib.reference as references

# Token and registry, as the publishers call them.
_INPUTS := {
	"pypa/gh-action-pypi-publish": ["password", "repository-url"],
	"katyo/publish-crates": ["registry-token", "registry-name"],
	"js-devtools/npm-publish": ["token", "registry"],
}

# By variable: the stage must publish something for it to count, and its value must be a secret of the project's.
_VARIABLES := {
	"TWINE_PASSWORD", "UV_PUBLISH_TOKEN", "UV_PUBLISH_PASSWORD", "FLIT_PASSWORD", "HATCH_INDEX_AUTH", "POETRY_PYPI_TOKEN_PYPI",
	"NODE_AUTH_TOKEN", "NPM_TOKEN", "NPM_AUTH_TOKEN", "CARGO_REGISTRY_TOKEN", "GEM_HOST_API_KEY", "RUBYGEMS_API_KEY",
}

deny contains violation if {
	some slug in references.slugs
	[token, registry] := _INPUTS[slug]
	some reference in input.references
	reference.slug == slug
	object.get(reference.inputs, token, "") != ""
	_is_public(object.get(reference.inputs, registry, ""))
	violation := {
		"message": sprintf("%v publishes with a lasting token", [reference.name]),
		"at": reference.at,
	}
}

deny contains violation if {
	some variable in input.variables
	variable.secret
	variable.name in _VARIABLES
	not _is_own(variable)
	stage := variable.stage
	stage in _publishing
	violation := {
		"message": sprintf("%s is a lasting token to publish with", [variable.name]),
		"at": variable.at,
	}
}

_is_public("") := true

_is_public(url) if regex.match(`pypi\.org|registry\.npmjs\.org|crates\.io`, url)

# A token of the run, which ends with it.
_is_own(variable) if regex.match(`CI_JOB_TOKEN|CI_REGISTRY_PASSWORD|(?i)github[_.]token`, variable.value)

_publishing contains stage.name if {
	some stage in input.stages
	"publish" in stage.purposes
}

# Variables of the whole pipeline reach each of its stages.
_publishing contains "" if {
	some stage in input.stages
	"publish" in stage.purposes
}
