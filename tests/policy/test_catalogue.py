from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from policyd.errors import PolicyError
from policyd.models.decision import Gate, Level, Severity
from policyd.policy.catalogue import Catalogue, RuleMeta, read_rule_meta
from policyd.policy.rego_text import read_package

Rule = Callable[..., bytes]


def read(content: bytes) -> RuleMeta:
    text = content.decode()
    package, line = read_package("r.rego", text)
    return read_rule_meta("r.rego", text, package=package, package_line=line, prefix="policyd")


def test_metadata_is_read_whole(rule: Rule) -> None:
    more = '#   effective_on: "2027-01-01T01:00:00+01:00"\n#   confidence: low\n#   applies_to: [github]\n'

    meta = read(rule("red", more=more))

    assert meta.id == "colours.red"
    assert meta.entrypoint == "policyd.colours.red.deny"
    assert meta.title == "Nothing is red"
    assert meta.severity is Severity.HIGH
    assert meta.gate is Gate.PIPELINE
    assert meta.controls == ("OWASP-CICD-SEC-4",)
    assert meta.effective_on == datetime(2027, 1, 1, tzinfo=UTC)
    assert meta.confidence == "low"
    assert meta.applies_to == ("github",)


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("critical", Level.SOFT),
        ("high", Level.SOFT),
        ("medium", Level.SOFT),
        ("low", Level.ADVISORY),
        ("info", Level.ADVISORY),
    ],
)
def test_the_level_follows_the_severity_unless_stated(rule: Rule, severity: str, level: Level) -> None:
    assert read(rule(severity=severity)).level is level
    assert read(rule(severity=severity, more="#   level: hard\n")).level is Level.HARD


@pytest.mark.parametrize(
    "field", ["title", "description", "custom", "id", "severity", "gate", "controls", "remediation"]
)
def test_a_missing_field_is_refused_by_name(rule: Rule, field: str) -> None:
    text = rule().decode()
    lines = [line for line in text.split("\n") if not line.lstrip("# ").startswith(f"{field}:")]

    with pytest.raises(PolicyError) as refused:
        read("\n".join(lines).encode())

    assert refused.value.where == "r.rego"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("id: colours.red", "id: colours.blue", "does not fit the package"),
        ("id: colours.red", "id: red", "does not fit the package"),
        ("gate: pipeline", "gate: door", "gate is 'door'"),
        ("severity: high", "severity: dire", "severity is 'dire'"),
        ("controls: [OWASP-CICD-SEC-4]", "controls: []", "'controls' is not a list"),
        ("controls: [OWASP-CICD-SEC-4]", "controls: [see below]", "not the id of a control"),
        ("remediation: Paint it.", 'remediation: ""', "'remediation' is missing"),
        ("remediation: Paint it.", "remediation: x\n#   colour: red", "unknown METADATA field 'colour'"),
        ("remediation: Paint it.", "remediation: x\n#   applies_to: [jenkins]", "unknown dialect"),
        ("remediation: Paint it.", "remediation: x\n#   effective_on: soon", "not a time"),
        ("remediation: Paint it.", 'remediation: x\n#   effective_on: "2027-01-01T00:00:00"', "without a time zone"),
        ("remediation: Paint it.", "remediation: x\n#   remediation: y", "twice"),
        ("remediation: Paint it.", "remediation: &a x", "anchors, aliases and tags"),
        ("remediation: Paint it.", "remediation: !!python/object:x y", "anchors, aliases and tags"),
        ("remediation: Paint it.", "remediation: [[[[[[x]]]]]]", "nested deeper"),
        ("remediation: Paint it.", "remediation: [", "not YAML"),
        ("# METADATA\n", "", "has no METADATA"),
        ("# METADATA\n", "# METADATA\n# METADATA\n", "two METADATA blocks"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(rule: Rule, old: str, new: str, reason: str) -> None:
    text = rule().decode()
    assert old in text

    with pytest.raises(PolicyError, match=reason) as refused:
        read(text.replace(old, new).encode())

    assert refused.value.where == "r.rego"


def test_deeply_nested_metadata_is_refused_before_it_hurts(rule: Rule) -> None:
    text = rule().decode().replace("Paint it.", "[" * 5000)

    with pytest.raises(PolicyError):
        read(text.encode())


def test_long_metadata_is_refused(rule: Rule) -> None:
    with pytest.raises(PolicyError, match="more than"):
        read(rule().decode().replace("Paint it.", "x" * 9000).encode())


def test_two_rules_of_one_id_are_refused_naming_both_files(rule: Rule) -> None:
    text = rule().decode()
    metas = [
        read_rule_meta(path, text, package="policyd.colours.red", package_line=9, prefix="policyd")
        for path in ("a.rego", "b.rego")
    ]

    with pytest.raises(PolicyError, match="two rules") as refused:
        Catalogue(metas)

    assert refused.value.where == "a.rego and b.rego"
