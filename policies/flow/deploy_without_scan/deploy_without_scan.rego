# METADATA
# title: Nothing is deployed before it was scanned
# description: >-
#   A scan of dependencies and code finds known weaknesses while the artifact can still be held back. Seen: stages of kind
#   `deploy`, and in other systems stages that publish or deploy while the pipeline has scans that they don't wait for.
#   Not seen: scans of other pipelines; with `required` a pipeline without any scan is denied as well.
# custom:
#   id: flow.deploy_without_scan
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.7.2]
#   remediation: >-
#     Add a stage that scans (kind `scan`), and let the stage that deploys wait for it: add it to `needs` (Azure:
#     `dependsOn`, Tekton: `runAfter`), or put it into an earlier GitLab stage.
#   settings:
#     purposes:
#       type: strings
#       default: [deploy, publish]
#       tighter: superset
#       choices: [build, deploy, package, publish, sign]
#       description: What a stage does that asks for a scan before it.
#     required:
#       type: boolean
#       default: false
#       tighter: "true"
#       description: Whether a pipeline that deploys has to have a scan itself.
package policyd.flow.deploy_without_scan

import data.policyd.lib.order

deny contains violation if {
	purposes := data.policyd.settings.flow.deploy_without_scan.purposes
	required := data.policyd.settings.flow.deploy_without_scan.required
	some stage in order.stages_without("scan", purposes, required)
	violation := {
		"message": sprintf("%v deploys without needing a scan", [stage.name]),
		"at": stage.at,
		"confidence": order.confidence(stage),
	}
}
