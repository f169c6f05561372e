# METADATA
# title: What is released is signed or attested
# description: >-
#   Who takes a release can't tell whether it is yours unless it carries a signature or an attestation of how it was made.
#   Seen are commands and components that publish, in pipelines where nothing is known to sign. policyd's own pipelines attest
#   every stage and are left out. Not seen: signing in build files, scripts, and in the service that publishes.
# custom:
#   id: integrity.unsigned_release
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-9, NIST-SSDF-PS.2.1, NIST-SSDF-PS.3.2]
#   applies_to: [github, gitlab, azure, tekton]
#   confidence: medium
#   remediation: >-
#     Sign what is released (cosign, sigstore, GPG) or attest how it was made (`actions/attest`, `npm publish --provenance`,
#     trusted publishing to PyPI), before or while it is published.
package policyd.integrity.unsigned_release

# One finding for the pipeline: the first thing that publishes.
deny contains violation if {
	found := _published[0]
	not _is_signed
	violation := {"message": sprintf("%v publishes, and nothing here signs or attests", [_name(found)]), "at": found.at}
}

_published := [effect | some effect in input.effects; effect.kind == "publish"]

_is_signed if {
	some effect in input.effects
	effect.kind == "sign"
}

_is_signed if {
	some effect in input.effects
	effect.kind == "publish"
	contains(effect.text, "--provenance")
}

# It attests by itself where it publishes by trust and not by password.
_is_signed if {
	some reference in input.references
	reference.slug == "pypa/gh-action-pypi-publish"
	object.get(reference.inputs, "password", "") == ""
	object.get(reference.inputs, "attestations", "true") != "false"
}

_name(effect) := effect.program if effect.program != ""

_name(effect) := effect.text if effect.program == ""
