package policyd.flow.double_pipelines_test

import data.policyd.flow.double_pipelines

stage(twice) := {"at": ["stages", 0], "name": "test", "runs_twice": twice}

test_job_that_runs_twice_is_reported if {
	found := double_pipelines.deny with input.stages as [stage(true)]
	found == {{"message": "a push starts test for the branch and again for its merge request", "at": ["stages", 0]}}
}

test_job_that_runs_once_is_fine if {
	count(double_pipelines.deny) == 0 with input.stages as [stage(false)]
}
