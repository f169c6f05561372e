package policyd.evidence.missing_sbom_test

import data.policyd.evidence.missing_sbom

document(kind, run) := {
	"run_id": "r1",
	"plan": {"sha256": "p1"},
	"artifact": {"name": "x.whl"},
	"evidence": [{
		"stage": "build", "run_id": run, "plan_sha256": "p1",
		"results": [{"name": "s", "kind": kind, "path": "x", "sha256": "d", "passed": null, "counts": {}}],
	}],
}

test_no_list_is_reported if {
	found := missing_sbom.deny with input as document("junit", "r1")
	found == {{"message": "nothing lists the components of x.whl", "at": ["artifact"]}}
}

test_list_of_another_run_is_none if {
	count(missing_sbom.deny) == 1 with input as document("sbom", "r2")
}

test_list_is_fine if {
	count(missing_sbom.deny) == 0 with input as document("sbom", "r1")
}

test_no_evidence_is_reported if {
	count(missing_sbom.deny) == 1 with input as object.union(document("", ""), {"evidence": []})
}
