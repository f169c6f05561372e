# METADATA
# title: A release has every attestation that is required of it
# description: >-
#   What a release has to bring is said beforehand: which predicate types, whether all of a type count or the newest,
#   what they must say, whose signatures they need and how old they may be. For an artifact of a run only what the
#   signed manifest lists counts. An artifact that no run made needs at least one requirement, and meets them with what was
#   handed in. Not seen: what a predicate says beyond the fields that are named.
# custom:
#   id: evidence.required_attestations
#   severity: critical
#   level: hard
#   gate: release
#   controls: [OWASP-CICD-SEC-9, NIST-SSDF-PS.3.2]
#   settings:
#     attestations:
#       type: strings
#       default: []
#       tighter: superset
#       description: >-
#         What is required, each as `TYPE MODE WORD…`: a predicate type; `any`, `all` or `newest`; and any of `signers=N`
#         (distinct persons, never the requester nor who asked for an approval), `role=R` (of the trust policy), `days=N`
#         (at most so old), `about=run` (may speak of something else of the run than the artifact), `time=witnessed` (an
#         authority or log says when) and `/POINTER=VALUE` (what the predicate says there). An approval counts for its
#         target alone.
#     foreign:
#       type: strings
#       default: []
#       tighter: superset
#       description: What is required of an artifact that no run made, written as in `attestations`.
#   remediation: >-
#     Have what is missing made, and signed by those who are asked for, in the run that makes the artifact; or hand it in
#     with --bundle where the artifact was made elsewhere.
package policyd.evidence.required_attestations

import data.policyd.lib.attestations

deny contains violation if {
	input.run_id == ""
	count(_texts) == 0
	violation := {
		"message": sprintf("no run made %v, and nothing is required of such an artifact", [input.artifact.name]),
		"at": ["attestations"],
	}
}

deny contains violation if {
	some text in _texts
	not _is_readable(text)
	violation := {
		"message": sprintf("the requirement `%v` can't be read: correct the setting", [text]),
		"at": ["attestations"],
	}
}

deny contains violation if {
	some text in _texts
	_is_readable(text)
	count(_candidates(text)) == 0
	violation := {
		"message": sprintf("%v has no %v", [input.artifact.name, _type(text)]),
		"at": ["attestations"],
	}
}

deny contains violation if {
	some text in _texts
	_is_readable(text)
	count(_candidates(text)) > 0
	not _is_met(text)
	violation := {
		"message": sprintf("%v does not meet `%v`", [input.artifact.name, text]),
		"at": ["attestations"],
	}
}

_texts := data.policyd.settings.evidence.required_attestations.attestations if input.run_id != ""

_texts := data.policyd.settings.evidence.required_attestations.foreign if input.run_id == ""

# How a requirement reads.

_type(text) := split(text, " ")[0]

_mode(text) := split(text, " ")[1]

_words(text) := array.slice(split(text, " "), 2, count(split(text, " ")))

_is_readable(text) if {
	_mode(text) in {"any", "all", "newest"}
	contains(_type(text), ":")
	every word in _words(text) {
		_is_word(word)
	}
}

_is_word(word) if word in {"about=run", "time=witnessed"}

_is_word(word) if {
	startswith(word, "/")
	contains(word, "=")
}

_is_word(word) if regex.match("^role=[a-z-]+$", word)

_is_word(word) if regex.match("^(signers|days)=[1-9][0-9]{0,2}$", word)

# Which attestations are looked at: all of the type, also those that fail.

_candidates(text) := [attestation |
	some attestation in attestations.speaking
	attestation.predicate_type == _type(text)
	_is_about(attestation, text)
]

_is_about(attestation, _) if attestation.about_artifact

# One that fails tells nothing of what it speaks of; it was handed in for this artifact.
_is_about(attestation, _) if attestation.verified == false

_is_about(_, text) if "about=run" in _words(text)

# Which of them have to be as the requirement says: those that are, all, or those that none is newer than. What has no
# time may be the newest.
_chosen(text) := [attestation | some attestation in _candidates(text); _is_good(attestation, text)] if {
	_mode(text) == "any"
}

_chosen(text) := _candidates(text) if _mode(text) == "all"

_chosen(text) := [attestation |
	some attestation in _candidates(text)
	not _is_older(attestation, text)
] if {
	_mode(text) == "newest"
}

_is_older(attestation, text) if {
	attestation.time != ""
	some other in _candidates(text)
	other.time > attestation.time
}

_is_met(text) if {
	chosen := _chosen(text)
	count(chosen) > 0
	every attestation in chosen {
		_is_good(attestation, text)
	}
	every word in _words(text) {
		_has_signers(chosen, word, text)
	}
}

# What each attestation has to be.

_is_good(attestation, text) if {
	attestation.verified
	every word in _words(text) {
		_is_as(attestation, word)
	}
}

_is_as(_, word) if word == "about=run"

_is_as(_, word) if startswith(word, "signers=")

_is_as(attestation, word) if {
	word == "time=witnessed"
	attestation.time_source in {"timestamp", "log"}
}

_is_as(attestation, word) if {
	startswith(word, "role=")
	some signer in attestation.signers
	signer.role == trim_prefix(word, "role=")
}

_is_as(attestation, word) if {
	startswith(word, "days=")
	is_number(attestation.age_seconds)
	attestation.age_seconds / 86400 <= _numbers[trim_prefix(word, "days=")]
}

_is_as(attestation, word) if {
	startswith(word, "/")
	pointer := split(word, "=")[0]
	attestation.fields[pointer] == trim_prefix(word, concat("", [pointer, "="]))
}

# What all of them have to be together: signed by enough persons. Whoever asked for the run is none of them, and where it is
# not sure who did, nobody can be left out.

_has_signers(_, word, _) if not startswith(word, "signers=")

_has_signers(chosen, word, text) if {
	startswith(word, "signers=")
	_is_requester_known
	asking := attestations.asking
	persons := {person |
		some attestation in chosen
		some signer in attestation.signers
		person := signer.person
		person != input.requester.identity
		not person in asking
		_fits(signer, text)
	}
	count(persons) >= _numbers[trim_prefix(word, "signers=")]
}

_is_requester_known if input.run_id == ""

_is_requester_known if input.requester.verified

_fits(signer, text) if {
	every word in _words(text) {
		_is_role(signer, word)
	}
}

_is_role(_, word) if not startswith(word, "role=")

_is_role(signer, word) if word == concat("=", ["role", signer.role])

_numbers := {format_int(number, 10): number | some number in numbers.range(1, 999)}
