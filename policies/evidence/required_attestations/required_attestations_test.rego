package policyd.evidence.required_attestations_test

import data.policyd.evidence.required_attestations

type := "https://example.com/scan/v1"

by(person) := {"person": person, "role": "scanner"}

scan(fields) := object.union(
	{
		"predicate_type": type, "verified": true, "listed": true, "about_artifact": true, "signers": [by("ann")],
		"fields": {"/result": "PASSED"}, "time": "2026-05-01T00:00:00.000000Z", "time_source": "timestamp", "age_seconds": 60,
	},
	fields,
)

foreign(attestations) := {
	"run_id": "", "artifact": {"name": "x.whl"}, "requester": {"identity": "", "verified": false},
	"attestations": attestations,
}

of_run(attestations) := {
	"run_id": "r1", "artifact": {"name": "x.whl"}, "requester": {"identity": "ann", "verified": true},
	"attestations": attestations,
}

# The other setting asks for what is never there.
_asked(true, words) := [concat(" ", [type, words])]

_asked(false, _) := ["https://example.com/never any"]

denied(document, words) if {
	count(required_attestations.deny) == 1 with input as document
		with data.policyd.settings.evidence.required_attestations.attestations as _asked(document.run_id != "", words)
		with data.policyd.settings.evidence.required_attestations.foreign as _asked(document.run_id == "", words)
}

fine(document, words) if {
	count(required_attestations.deny) == 0 with input as document
		with data.policyd.settings.evidence.required_attestations.attestations as _asked(document.run_id != "", words)
		with data.policyd.settings.evidence.required_attestations.foreign as _asked(document.run_id == "", words)
}

test_a_foreign_artifact_of_which_nothing_is_required_is_denied if {
	found := required_attestations.deny with input as foreign([scan({})])
		with data.policyd.settings.evidence.required_attestations.foreign as []
	found == {{"message": "no run made x.whl, and nothing is required of such an artifact", "at": ["attestations"]}}
}

test_a_run_of_which_nothing_is_required_is_fine if {
	count(required_attestations.deny) == 0 with input as of_run([])
		with data.policyd.settings.evidence.required_attestations.attestations as []
}

test_none_is_denied if {
	found := required_attestations.deny with input as foreign([])
		with data.policyd.settings.evidence.required_attestations.foreign as [concat(" ", [type, "any"])]
	found == {{"message": "x.whl has no https://example.com/scan/v1", "at": ["attestations"]}}
}

test_one_is_fine if fine(foreign([scan({})]), "any")

test_one_of_another_type_is_denied if denied(foreign([scan({"predicate_type": "https://example.com/other"})]), "any")

test_one_of_another_artifact_is_denied if denied(foreign([scan({"about_artifact": false})]), "any")

test_one_of_the_run_is_fine_where_that_is_enough if fine(of_run([scan({"about_artifact": false})]), "any about=run")

test_what_the_manifest_does_not_list_does_not_count if denied(of_run([scan({"listed": false})]), "any")

test_what_the_manifest_lists_counts if fine(of_run([scan({})]), "any")

failed := scan({"verified": false, "about_artifact": false, "signers": [], "fields": {}, "time": "", "age_seconds": null})

test_one_that_fails_is_denied if denied(foreign([failed]), "any")

test_one_that_fails_beside_one_that_holds_is_denied_where_all_count if denied(foreign([failed, scan({})]), "all")

test_one_that_fails_may_be_the_newest if denied(foreign([failed, scan({})]), "newest")

test_one_that_fails_beside_one_that_holds_is_enough_for_any if fine(foreign([failed, scan({})]), "any")

silent := object.union(object.remove(scan({}), ["fields"]), {"fields": {}})

bad := scan({"fields": {"/result": "FAILED"}})

later := "2026-05-02T00:00:00.000000Z"

test_what_it_says_counts if denied(foreign([bad]), "any /result=PASSED")

test_what_it_does_not_say_is_denied if denied(foreign([silent]), "any /result=PASSED")

test_any_takes_the_good_one if fine(foreign([bad, scan({})]), "any /result=PASSED")

test_all_takes_no_bad_one if denied(foreign([bad, scan({})]), "all /result=PASSED")

test_the_newest_counts if {
	fine(foreign([bad, scan({"time": later})]), "newest /result=PASSED")
	denied(foreign([scan({}), object.union(bad, {"time": later})]), "newest /result=PASSED")
}

test_two_of_the_same_time_are_both_the_newest if denied(foreign([bad, scan({})]), "newest /result=PASSED")

test_one_without_a_time_may_be_the_newest if {
	denied(foreign([object.union(bad, {"time": ""}), scan({})]), "newest /result=PASSED")
}

test_the_role_counts if {
	fine(foreign([scan({})]), "any role=scanner")
	denied(foreign([scan({})]), "any role=approver")
}

test_the_age_counts if {
	fine(foreign([scan({"age_seconds": 86400})]), "any days=1")
	denied(foreign([scan({"age_seconds": 86401})]), "any days=1")
	denied(foreign([scan({"age_seconds": null})]), "any days=1")
}

test_a_claimed_time_is_not_witnessed if {
	fine(foreign([scan({})]), "any time=witnessed")
	denied(foreign([scan({"time_source": "claimed"})]), "any time=witnessed")
}

test_distinct_persons_are_counted if {
	fine(foreign([scan({}), scan({"signers": [by("bob")]})]), "all signers=2")
	denied(foreign([scan({}), scan({})]), "all signers=2")
	denied(foreign([scan({"signers": [by("ann"), by("ann")]})]), "any signers=2")
	denied(foreign([failed, scan({})]), "any signers=2")
}

test_persons_of_another_role_do_not_count if {
	denied(foreign([scan({"signers": [by("ann"), {"person": "bob", "role": "builder"}]})]), "any role=scanner signers=2")
}

test_the_requester_never_counts if {
	denied(of_run([scan({})]), "any signers=1")
	fine(of_run([scan({"signers": [by("bob")]})]), "any signers=1")
}

test_nobody_counts_where_the_requester_is_not_known if {
	document := object.union(of_run([scan({"signers": [by("bob")]})]), {"requester": {"identity": "unverified", "verified": false}})
	denied(document, "any signers=1")
}

test_a_requirement_that_can_not_be_read_is_denied if {
	denied(foreign([scan({})]), "some")
	denied(foreign([scan({})]), "any signers=0")
	denied(foreign([scan({})]), "any signers=two")
	denied(foreign([scan({})]), "any colour=red")
	denied(foreign([scan({})]), "any ")
}

test_a_requirement_of_one_word_is_denied if {
	count(required_attestations.deny) == 1 with input as foreign([scan({})])
		with data.policyd.settings.evidence.required_attestations.foreign as [type]
}

test_two_requirements_are_both_asked if {
	found := required_attestations.deny with input as foreign([scan({})])
		with data.policyd.settings.evidence.required_attestations.foreign as [
			concat(" ", [type, "any"]),
			"https://example.com/other any",
		]
	found == {{"message": "x.whl has no https://example.com/other", "at": ["attestations"]}}
}

approval := "https://policyd.dev/attestation/approval/v1"

approved(person, fields) := {
	"predicate_type": approval,
	"verified": true,
	"listed": false,
	"about_artifact": true,
	"signers": [{"person": person, "role": "approver"}],
	"fields": object.union({"/target": "production", "/requested_by": "ann"}, fields),
	"run_id": "",
	"commit": "",
	"time": "",
	"time_source": "none",
	"age_seconds": null,
}

approvals(list) := {
	"run_id": "", "target": "production", "artifact": {"name": "x.whl"},
	"requester": {"identity": "", "verified": false}, "attestations": list,
}

two_approvers := [concat(" ", [approval, "any", "role=approver", "signers=2"])]

unmet(list) if {
	count(required_attestations.deny) == 1 with input as approvals(list)
		with data.policyd.settings.evidence.required_attestations.foreign as two_approvers
}

met(list) if {
	count(required_attestations.deny) == 0 with input as approvals(list)
		with data.policyd.settings.evidence.required_attestations.foreign as two_approvers
}

test_two_of_the_approvers_approved if met([approved("bob", {}), approved("eve", {})])

test_one_who_approves_twice_is_one if unmet([approved("bob", {}), approved("bob", {})])

test_an_approval_for_another_target_does_not_count if {
	unmet([approved("bob", {}), approved("eve", {"/target": "staging"})])
}

test_who_asked_for_an_approval_grants_none if {
	unmet([approved("bob", {}), approved("ann", {"/requested_by": "carol"})])
}

test_who_asked_for_another_target_may_approve_this_one if {
	met([approved("bob", {}), approved("eve", {}), approved("dan", {"/requested_by": "bob", "/target": "staging"})])
}
