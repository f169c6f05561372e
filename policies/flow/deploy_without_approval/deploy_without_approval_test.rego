package policyd.flow.deploy_without_approval_test

import data.policyd.flow.deploy_without_approval

stage(fields) := object.union(
	{
		"at": ["stages", 0], "name": "deploy", "group": "", "environment": "", "target": "", "purposes": ["deploy"],
		"guards": [],
	},
	fields,
)

test_production_without_a_person_is_denied if {
	found := deploy_without_approval.deny with input.stages as [stage({"environment": "production/eu"})]
	found == {{"message": "deploy deploys to production, and nobody lets it", "at": ["stages", 0]}}
}

test_names_of_stages_and_groups_count_and_are_denied if {
	every one in [{"name": "deploy_prod"}, {"group": "Production"}, {"target": "live"}] {
		count(deploy_without_approval.deny) == 1 with input.stages as [stage(one)]
	}
}

test_production_that_a_person_lets_is_fine if {
	count(deploy_without_approval.deny) == 0 with input.stages as [stage({"name": "prod", "guards": ["approval"]})]
}

test_other_environments_are_fine if {
	count(deploy_without_approval.deny) == 0 with input.stages as [stage({"environment": "staging"}), stage({"name": "products"})]
}

test_stage_that_deploys_nothing_is_fine if {
	count(deploy_without_approval.deny) == 0 with input.stages as [stage({"name": "build-prod", "purposes": ["build"]})]
}

test_every_deployment_is_denied_where_all_count if {
	count(deploy_without_approval.deny) == 1 with input.stages as [stage({})]
		with data.policyd.settings.flow.deploy_without_approval.everywhere as true
}
