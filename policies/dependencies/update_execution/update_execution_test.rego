package policyd.dependencies.update_execution_test

import data.policyd.dependencies.update_execution

document(update) := {
	"pipeline": {"kind": "settings"},
	"document": {"version": 2, "updates": [object.union({"package-ecosystem": "pip"}, update)]},
}

test_allowed_code_is_denied if {
	found := update_execution.deny with input as document({"insecure-external-code-execution": "allow"})
	at := ["document", "updates", 0, "insecure-external-code-execution"]
	found == {{"message": "updates run code of the packages they look at", "at": at}}
}

test_denied_or_unsaid_is_fine if {
	count(update_execution.deny) == 0 with input as document({"insecure-external-code-execution": "deny"})
	count(update_execution.deny) == 0 with input as document({})
}
