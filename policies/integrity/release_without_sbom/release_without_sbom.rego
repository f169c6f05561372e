# METADATA
# title: A release says what is in it
# description: >-
#   When the next vulnerable library is found, a bill of materials (SBOM) tells in minutes which releases hold it. Seen are
#   commands and components that publish, in pipelines where nothing is known to make one. Not seen: SBOMs made in build
#   files and scripts, or by the registry.
# custom:
#   id: integrity.release_without_sbom
#   severity: info
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-9, NIST-SSDF-PS.3.2]
#   confidence: medium
#   remediation: Make an SBOM of what is released (syft, cdxgen, trivy, `sbom-tool`), publish and attest it with the release.
package policyd.integrity.release_without_sbom

# One finding for the pipeline: the first thing that publishes.
deny contains violation if {
	found := _published[0]
	not _has_sbom
	violation := {"message": sprintf("%v publishes, and nothing here makes an SBOM", [_name(found)]), "at": found.at}
}

_published := [effect | some effect in input.effects; effect.kind == "publish"]

_has_sbom if {
	some effect in input.effects
	effect.kind == "sbom"
}

_has_sbom if {
	some stage in input.stages
	"sbom" in stage.results
}

_name(effect) := effect.program if effect.program != ""

_name(effect) := effect.text if effect.program == ""
