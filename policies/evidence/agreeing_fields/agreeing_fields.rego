# METADATA
# title: All attestations of a release name one run and one commit
# description: >-
#   A scan of another commit, or an approval of another run, says nothing of this artifact. Every attestation of the artifact
#   or its run that names a run or a commit must name the same one as all others. Not seen: attestations that
#   name neither, but for fields that the setting lists.
# custom:
#   id: evidence.agreeing_fields
#   severity: critical
#   gate: release
#   controls: [OWASP-CICD-SEC-9, SLSA-BUILD-L2]
#   settings:
#     fields:
#       type: strings
#       default: []
#       tighter: superset
#       description: >-
#         Further fields that must agree, each as `NAME TYPE POINTER`. Every attestation of the predicate type TYPE must have
#         the field at the JSON pointer POINTER, and all fields of one NAME the same value.
#   remediation: >-
#     Run the pipeline again as one run, so that build, tests, scan and approval are of the same commit, and hand in the
#     attestations of that run alone.
package policyd.evidence.agreeing_fields

import data.policyd.lib.attestations

deny contains violation if {
	some attestation in attestations.speaking
	input.run_id != ""
	attestation.run_id != ""
	attestation.run_id != input.run_id
	violation := {
		"message": sprintf("the %v names the run %v, not %v", [
			attestation.predicate_type,
			attestation.run_id,
			input.run_id,
		]),
		"at": ["attestations"],
	}
}

# Where no run of policyd made it, runs are those of somebody else's builder.
deny contains violation if {
	input.run_id == ""
	runs := {attestation.run_id | some attestation in attestations.speaking; attestation.run_id != ""}
	count(runs) > 1
	violation := {
		"message": sprintf("the attestations name %v different runs: %v", [count(runs), concat(", ", runs)]),
		"at": ["attestations"],
	}
}

deny contains violation if {
	count(_commits) > 1
	violation := {
		"message": sprintf("the attestations name %v different commits: %v", [count(_commits), concat(", ", _commits)]),
		"at": ["attestations"],
	}
}

_commits := {attestation.commit | some attestation in attestations.speaking; attestation.commit != ""}

deny contains violation if {
	some field in _fields
	some attestation in attestations.speaking
	attestation.verified
	attestation.predicate_type == field.type
	pointer := field.pointer
	not _has(attestation, pointer)
	violation := {
		"message": sprintf("the %v does not say %v (%v)", [field.type, field.name, field.pointer]),
		"at": ["attestations"],
	}
}

deny contains violation if {
	some name in {field.name | some field in _fields}
	values := {value |
		some field in _fields
		field.name == name
		some attestation in attestations.speaking
		attestation.verified
		attestation.predicate_type == field.type
		value := attestation.fields[field.pointer]
	}
	count(values) > 1
	violation := {
		"message": sprintf("the attestations do not agree on %v: %v", [name, concat(", ", values)]),
		"at": ["attestations"],
	}
}

deny contains violation if {
	some text in data.policyd.settings.evidence.agreeing_fields.fields
	not _is_field(text)
	violation := {
		"message": sprintf("%v is not `NAME TYPE POINTER`: correct the setting", [text]),
		"at": ["attestations"],
	}
}

_has(attestation, pointer) if attestation.fields[pointer]

_fields := [{"name": words[0], "type": words[1], "pointer": words[2]} |
	some text in data.policyd.settings.evidence.agreeing_fields.fields
	words := split(text, " ")
	count(words) == 3
]

_is_field(text) if {
	words := split(text, " ")
	count(words) == 3
	startswith(words[2], "/")
}
