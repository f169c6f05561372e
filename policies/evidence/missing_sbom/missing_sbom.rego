# METADATA
# title: A release lists what is in it
# description: >-
#   A software bill of materials tells whoever runs the artifact which components are in it, when the next weakness in
#   one of them becomes known. Not seen: whether the list is complete.
# custom:
#   id: evidence.missing_sbom
#   severity: low
#   gate: release
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PS.3.2]
#   remediation: "Have the build or package stage write a CycloneDX or SPDX file, and declare it as a result of kind `sbom`."
package policyd.evidence.missing_sbom

import data.policyd.lib.evidence

deny contains violation if {
	lists := [result |
		some found in evidence.this_run
		some result in found.results
		result.kind == "sbom"
	]
	count(lists) == 0
	violation := {"message": sprintf("nothing lists the components of %s", [input.artifact.name]), "at": ["artifact"]}
}
