# METADATA
# title: Nothing is deployed before it was tested
# description: >-
#   What releases or deploys has to need a test, directly or through others; stages that are only written in that order
#   may run side by side. Seen: stages of kind `deploy`, and in other systems stages that publish or deploy while the
#   pipeline has tests that they don't wait for. Not seen: whether the tests test anything, and tests of other pipelines;
#   with `required` a pipeline without any test is denied as well.
# custom:
#   id: flow.deploy_without_tests
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1, NIST-SSDF-PW.8.2]
#   remediation: >-
#     Let the stage that deploys wait for the test stage: add it to `needs` (Azure: `dependsOn`, Tekton: `runAfter`), or
#     put it into a later GitLab stage.
#   settings:
#     purposes:
#       type: strings
#       default: [deploy, publish]
#       tighter: superset
#       choices: [build, deploy, package, publish, sign]
#       description: What a stage does that asks for a test before it.
#     required:
#       type: boolean
#       default: false
#       tighter: "true"
#       description: Whether a pipeline that deploys has to have a test itself.
package policyd.flow.deploy_without_tests

import data.policyd.lib.order

deny contains violation if {
	purposes := data.policyd.settings.flow.deploy_without_tests.purposes
	required := data.policyd.settings.flow.deploy_without_tests.required
	some stage in order.stages_without("test", purposes, required)
	violation := {
		"message": sprintf("%v deploys without needing a test", [stage.name]),
		"at": stage.at,
		"confidence": order.confidence(stage),
	}
}
