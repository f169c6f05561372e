package policyd.evidence.agreeing_fields_test

import data.policyd.evidence.agreeing_fields

scan := "https://example.com/scan/v1"

build := "https://example.com/build/v1"

made(type, fields) := object.union(
	{"predicate_type": type, "verified": true, "listed": true, "run_id": "", "commit": "", "fields": {}},
	fields,
)

of_run(attestations) := {"run_id": "r1", "attestations": attestations}

foreign(attestations) := {"run_id": "", "attestations": attestations}

fine(document) if {
	count(agreeing_fields.deny) == 0 with input as document
}

test_another_run_is_denied if {
	found := agreeing_fields.deny with input as of_run([made(scan, {"run_id": "r1"}), made(build, {"run_id": "r2"})])
	found == {{"message": "the https://example.com/build/v1 names the run r2, not r1", "at": ["attestations"]}}
}

test_the_same_run_is_fine if fine(of_run([made(scan, {"run_id": "r1"}), made(build, {"run_id": "r1"})]))

test_what_the_manifest_does_not_list_says_nothing_of_the_run if {
	fine(of_run([made(scan, {"run_id": "r2", "listed": false})]))
}

test_two_foreign_runs_are_denied if {
	found := agreeing_fields.deny with input as foreign([made(scan, {"run_id": "b"}), made(build, {"run_id": "a"})])
	found == {{"message": "the attestations name 2 different runs: a, b", "at": ["attestations"]}}
}

test_one_foreign_run_is_fine if {
	fine(foreign([made(scan, {"run_id": "a", "listed": false}), made(build, {"run_id": "a"}), made(build, {})]))
}

test_two_commits_are_denied if {
	found := agreeing_fields.deny with input as foreign([made(scan, {"commit": "b"}), made(build, {"commit": "a"})])
	found == {{"message": "the attestations name 2 different commits: a, b", "at": ["attestations"]}}
}

test_two_commits_in_a_run_are_denied if {
	count(agreeing_fields.deny) == 1 with input as of_run([made(scan, {"commit": "b"}), made(build, {"commit": "a"})])
}

version := [concat(" ", ["version", scan, "/v"]), concat(" ", ["version", build, "/version"])]

test_fields_that_differ_are_denied if {
	found := agreeing_fields.deny with input as foreign([made(scan, {"fields": {"/v": "1"}}), made(build, {"fields": {"/version": "2"}})])
		with data.policyd.settings.evidence.agreeing_fields.fields as version
	found == {{"message": "the attestations do not agree on version: 1, 2", "at": ["attestations"]}}
}

test_a_field_that_is_not_there_is_denied if {
	found := agreeing_fields.deny with input as foreign([made(scan, {}), made(build, {"fields": {"/version": "2"}})])
		with data.policyd.settings.evidence.agreeing_fields.fields as version
	found == {{"message": "the https://example.com/scan/v1 does not say version (/v)", "at": ["attestations"]}}
}

test_a_field_that_is_false_is_there if {
	count(agreeing_fields.deny) == 0 with input as foreign([made(scan, {"fields": {"/v": "false"}})])
		with data.policyd.settings.evidence.agreeing_fields.fields as version
}

test_fields_that_agree_are_fine if {
	count(agreeing_fields.deny) == 0 with input as foreign([made(scan, {"fields": {"/v": "2"}}), made(build, {"fields": {"/version": "2"}})])
		with data.policyd.settings.evidence.agreeing_fields.fields as version
}

test_a_setting_that_can_not_be_read_is_denied if {
	count(agreeing_fields.deny) == 1 with input as foreign([])
		with data.policyd.settings.evidence.agreeing_fields.fields as ["version /v"]
}
