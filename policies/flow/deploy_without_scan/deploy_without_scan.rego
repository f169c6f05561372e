# METADATA
# title: Nothing is deployed before it was scanned
# description: >-
#   A scan of dependencies and code finds known weaknesses while the artifact can still be held back.
# custom:
#   id: flow.deploy_without_scan
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.7.2]
#   applies_to: [policyd]
#   remediation: "Add a stage of kind `scan`, and name it in the deploy stage's `needs`."
package policyd.flow.deploy_without_scan

deny contains violation if {
	some stage in input.stages
	stage.kind == "deploy"
	kinds := stage.needs_kinds
	not "scan" in kinds
	violation := {"message": sprintf("%s deploys without needing a scan", [stage.name]), "at": stage.at}
}
