package policyd.evidence.missing_provenance_test

import data.policyd.evidence.missing_provenance

good := {
	"run_id": "r1",
	"plan": {"sha256": "p1"},
	"artifact": {"name": "x.whl", "sha256": "d1", "stage": "build", "output": "wheel", "type": "file"},
	"evidence": [{
		"stage": "build", "state": "succeeded", "run_id": "r1", "plan_sha256": "p1",
		"predicate_types": ["https://slsa.dev/provenance/v1"],
		"products": [{"output": "wheel", "path": "x.whl", "type": "file", "sha256": "d1", "size": 1}],
	}],
}

changed(fields) := object.union(good, {"evidence": [object.union(good.evidence[0], fields)]})

denied(document) if {
	count(missing_provenance.deny) == 1 with input as document
}

test_product_with_provenance_is_fine if {
	count(missing_provenance.deny) == 0 with input as good
}

test_no_evidence_is_denied if {
	found := missing_provenance.deny with input as object.union(good, {"evidence": []})
	found == {{"message": "no provenance of this run says that build made x.whl", "at": ["artifact"]}}
}

test_other_digest_is_denied if {
	denied(changed({"products": [{"output": "wheel", "path": "x", "type": "file", "sha256": "d2", "size": 1}]}))
}

test_other_output_is_denied if {
	denied(changed({"products": [{"output": "log", "path": "x", "type": "file", "sha256": "d1", "size": 1}]}))
}

test_other_kind_of_statement_is_denied if denied(changed({"predicate_types": ["https://in-toto.io/attestation/link/v0.3"]}))

test_failed_stage_is_denied if denied(changed({"state": "failed"}))

test_other_stage_is_denied if denied(changed({"stage": "test"}))

test_other_run_is_denied if denied(changed({"run_id": "r2"}))

test_other_plan_is_denied if denied(changed({"plan_sha256": "p2"}))
