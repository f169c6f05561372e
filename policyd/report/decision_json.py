"""Decisions as machines read them: `policyd.check/v1`. Fields are only ever added."""

from __future__ import annotations

from dataclasses import asdict

from policyd.report.findings import Findings, Rules
from policyd.report.json_text import render_json

SCHEMA = "policyd.check/v1"


def render_check_json(findings: Findings, rules: Rules) -> str:
    """Return the answer of `policyd check` as JSON text.

    Each decision has exactly the fields that are signed (`decision/v1`; what is unset stays out). `rules` holds what
    the catalogue says of every rule that was broken. With a baseline, `known` beside a decision are the violations that
    it knows, and `gone` are its entries that match nothing. `ignored` are violations, by index, that comments in the
    file lift, with the reason; `notes` is what is to be said of comments.
    """
    broken = sorted({violation.rule for violation in findings.violations()} & rules.keys())
    return render_json(
        {
            "schema": SCHEMA,
            "verdict": findings.verdict.value,
            "decisions": [
                {
                    "path": judged.path,
                    "decision": judged.decision.model_dump(mode="json", exclude_none=True),
                    # Indices into the decision's violations: what is signed has no word for a baseline.
                    **({} if findings.gone is None else {"known": sorted(judged.known)}),
                    **({"ignored": {str(i): why for i, why in judged.ignored.items()}} if judged.ignored else {}),
                    **({"notes": list(judged.notes)} if judged.notes else {}),
                }
                for judged in findings.judged
            ],
            **(
                {}
                if findings.gone is None
                else {"gone": [entry.model_dump(mode="json", exclude_none=True) for entry in findings.gone]}
            ),
            "unreadable": [asdict(unreadable) for unreadable in findings.unreadable],
            "rules": {
                id_: {
                    "title": rules[id_].title,
                    "description": rules[id_].description,
                    "severity": rules[id_].severity.value,
                    "remediation": rules[id_].remediation,
                    "controls": list(rules[id_].controls),
                }
                for id_ in broken
            },
        }
    )
