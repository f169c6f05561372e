package policyd.dependencies.lookalike_component_test

import data.policyd.dependencies.lookalike_component

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

known := {
	"popular": {"action": {"checkout": ["actions"], "login-action": ["docker"]}, "image": {"terraform": ["hashicorp"]}},
	"owners": ["actions", "docker", "dockers"],
}

found(fields) := result if {
	result := lookalike_component.deny with input as {"references": [reference(fields)]}
		with data.policyd.known.components as known
}

test_owner_that_looks_like_the_known_one_is_denied if {
	names := ["action", "actionss", "actoins", "acti0ns", "actlons", "a-ctions", "act-i-ons", "act10ns"]
	every name in names {
		count(found({"slug": concat("/", [name, "checkout"])})) == 1 - _odd(name)
	}
}

# Two characters differ.
_odd(name) := 1 if name == "act10ns"

default _odd(_) := 0

test_message_names_the_known_one if {
	message := "owner/name@v1 is not of actions, whose name looks like it"
	found({"slug": "action/checkout"}) == {{"message": message, "at": ["references", 0]}}
}

test_owner_that_is_known_is_fine if {
	every slug in ["actions/checkout", "my-fork/checkout", "action/other", "dockers/login-action", "checkout", ""] {
		count(found({"slug": slug})) == 0
	}
}

test_image if {
	count(found({"kind": "image", "slug": "hashicopr/terraform"})) == 1
	count(found({"kind": "image", "slug": "hashicorp/terraform"})) == 0
	count(found({"kind": "image", "slug": "mirror.example.com/terraform"})) == 0
	count(found({"kind": "image", "slug": "terraform"})) == 0
}

test_owner_that_settings_know_is_fine if {
	given := {"references": [reference({"slug": "action/checkout"})]}
	count(lookalike_component.deny) == 0 with input as given
		with data.policyd.known.components as known
		with data.policyd.settings.dependencies.lookalike_component.known_owners as ["action"]
}
