# METADATA
# title: Production waits for a person
# description: >-
#   A stage that deploys to production starts without anyone letting it: whatever reaches the branch reaches the users.
#   Seen: environments, targets and stages called production, with no environment that can ask for approval, no manual job
#   and no approval before it. Not seen: approvals that are set up outside the file, as GitLab's protected environments.
# custom:
#   id: flow.deploy_without_approval
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   applies_to: [github, gitlab, azure]
#   confidence: medium
#   remediation: >-
#     Deploy to an environment that asks for reviewers (GitHub, Azure `environment`), make the job manual (GitLab
#     `when: manual`), or put an approval before it.
#   settings:
#     production:
#       type: strings
#       default: [PROD, PRODUCTION, Prod, Production, live, prod, production]
#       tighter: superset
#       description: Words in the name of an environment, target or stage that say it is production.
#     everywhere:
#       type: boolean
#       default: false
#       tighter: "true"
#       description: Whether every deployment counts as one to production.
package policyd.flow.deploy_without_approval

deny contains violation if {
	some stage in input.stages
	"deploy" in stage.purposes
	guards := stage.guards
	not "approval" in guards
	_is_production(stage)
	violation := {
		"message": sprintf("%s deploys to production, and nobody lets it", [stage.name]),
		"at": stage.at,
	}
}

_is_production(_) if data.policyd.settings.flow.deploy_without_approval.everywhere

_is_production(stage) if {
	some name in [stage.environment, stage.target, stage.name, stage.group]
	some word in split(replace(replace(replace(replace(name, "_", "-"), "/", "-"), " ", "-"), ".", "-"), "-")
	word in data.policyd.settings.flow.deploy_without_approval.production
}
