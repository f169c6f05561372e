package policyd.evidence.missing_material_test

import data.policyd.evidence.missing_material

made(output) := {"output": output, "path": "x", "type": "file", "sha256": "d1", "size": 1}

document(evidence) := {
	"run_id": "r1",
	"plan": {"sha256": "p1"},
	"stage": {"name": "deploy", "products": ["build.wheel"]},
	"evidence": evidence,
}

evidence(stage, state, run, products) := {
	"stage": stage, "state": state, "run_id": run, "plan_sha256": "p1", "products": products,
}

denied(found) if {
	count(missing_material.deny) == 1 with input as document(found)
}

test_product_of_no_evidence_is_denied if {
	found := missing_material.deny with input as document([])
	found == {{
		"message": "deploy is to be given build.wheel, which no evidence of this run lists",
		"at": ["stage", "products", 0],
	}}
}

test_other_output_is_denied if denied([evidence("build", "succeeded", "r1", [made("sdist")])])

test_other_stage_is_denied if denied([evidence("test", "succeeded", "r1", [made("wheel")])])

test_other_run_is_denied if denied([evidence("build", "succeeded", "r2", [made("wheel")])])

test_product_of_a_failed_stage_is_denied if denied([evidence("build", "failed", "r1", [made("wheel")])])

test_listed_product_is_fine if {
	found := [evidence("build", "succeeded", "r1", [made("sdist"), made("wheel")])]
	count(missing_material.deny) == 0 with input as document(found)
}

test_stage_without_products_is_fine if {
	count(missing_material.deny) == 0 with input as object.union(document([]), {"stage": {"name": "a", "products": []}})
}
