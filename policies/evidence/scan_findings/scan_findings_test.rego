package policyd.evidence.scan_findings_test

import data.policyd.evidence.scan_findings

document(kind, counts) := {
	"run_id": "r1",
	"plan": {"sha256": "p1"},
	"stage": {"name": "release", "kind": kind, "needs": ["scan"]},
	"evidence": [{
		"stage": "scan", "state": "succeeded", "run_id": "r1", "plan_sha256": "p1",
		"results": [{"name": "sast", "kind": "sarif", "path": "x", "sha256": "d", "passed": null, "counts": counts}],
	}],
}

test_errors_are_denied if {
	found := scan_findings.deny with input as document("deploy", {"error": 2, "warning": 1})
	found == {{"message": "the scan sast of scan has findings of level error: 2", "at": ["stage", "needs"]}}
}

test_warnings_are_fine if {
	count(scan_findings.deny) == 0 with input as document("deploy", {"error": 0, "warning": 5})
}

test_missing_count_is_fine if {
	count(scan_findings.deny) == 0 with input as document("deploy", {})
}

test_other_stage_is_fine if {
	count(scan_findings.deny) == 0 with input as document("test", {"error": 2})
}

test_warnings_are_denied_where_they_count if {
	found := scan_findings.deny with input as document("deploy", {"error": 0, "warning": 5})
		with data.policyd.settings.evidence.scan_findings.levels as ["error", "warning"]
	found == {{"message": "the scan sast of scan has findings of level warning: 5", "at": ["stage", "needs"]}}
}

test_as_many_findings_as_allowed_are_fine if {
	count(scan_findings.deny) == 0 with input as document("deploy", {"error": 2})
		with data.policyd.settings.evidence.scan_findings.max_findings as 2
}
