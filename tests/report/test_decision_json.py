"""What a machine reads after a check."""

from __future__ import annotations

import json
from collections.abc import Callable

from policyd.models.decision import Decision, Verdict, Violation
from policyd.report.decision_json import render_check_json
from policyd.report.findings import Findings, Judged, Rules, Unreadable

MakeDecision = Callable[..., Decision]


def test_the_document_is_stable(
    make_decision: MakeDecision, rules: Rules, golden: Callable[[str, str], None], injection: Violation
) -> None:
    found = Findings(
        (Judged("release.yml", make_decision(violations=(injection,)), b"x"),),
        (Unreadable("odd.yml", "not YAML", "odd.yml:1:1", "mend it"),),
    )

    golden("check.json", render_check_json(found, rules))


def test_each_decision_is_the_document_that_is_signed(
    make_decision: MakeDecision, rules: Rules, injection: Violation
) -> None:
    decision = make_decision(violations=(injection,))

    document = json.loads(render_check_json(Findings((Judged("p", decision),)), rules))

    read = Decision.model_validate_json(json.dumps(document["decisions"][0]["decision"]))
    assert read == decision
    assert read.to_json() == decision.to_json()


def test_the_verdict_is_never_allow_when_a_file_was_unreadable(make_decision: MakeDecision, rules: Rules) -> None:
    found = Findings((Judged("p", make_decision(Verdict.ALLOW)),), (Unreadable("odd.yml", "a", "b", "c"),))

    assert json.loads(render_check_json(found, rules))["verdict"] == "undecided"
