# What rules ask of the evidence of a run. All of it was verified before it became input; what is asked here is whether
# it is the evidence that is needed.
package policyd.lib.evidence

# The evidence of `stage` that belongs to this very run of this very plan.
of_this_run(stage) := [evidence |
	some evidence in input.evidence
	evidence.stage == stage
	evidence.run_id == input.run_id
	evidence.plan_sha256 == input.plan.sha256
]

# All of it that belongs to this run.
this_run := [evidence |
	some evidence in input.evidence
	evidence.run_id == input.run_id
	evidence.plan_sha256 == input.plan.sha256
]

# The test results of this run, with the stage that claims them.
test_results := [{"stage": evidence.stage, "name": result.name, "passed": result.passed} |
	some evidence in this_run
	evidence.state == "succeeded"
	some result in evidence.results
	result.kind == "junit"
]

# Some evidence of a stage was made without isolation.
is_sandboxed(evidence) if startswith(evidence.sandbox, "bwrap")
