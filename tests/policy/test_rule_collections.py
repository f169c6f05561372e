"""Collections choose rules as data; one that asks less than it seems to is an error."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from policyd.errors import PolicyError
from policyd.policy.policy_set import PolicySet, read_policy_set
from policyd.policy.rule_collections import find_uncollected

Files = Callable[..., dict[str, bytes]]


def read(files: Files, collections: dict[str, object]) -> PolicySet:
    more = {f"collections/{name}.json": json.dumps(value).encode() for name, value in collections.items()}
    return read_policy_set({**files("red", "blue", "green"), **more}, "house")


def test_a_collection_adds_to_others(files: Files) -> None:
    found = read(
        files,
        {
            "base": ["colours.red"],
            "more": {"include": ["base"], "rules": ["colours.blue"]},
            "most": {"include": ["base", "more"]},
        },
    ).collections

    assert found["base"] == ("colours.red",)
    assert found["more"] == found["most"] == ("colours.blue", "colours.red")


@pytest.mark.parametrize("control", ["OWASP-CICD-SEC-4", "OWASP-CICD", "OWASP"])
def test_a_collection_takes_rules_by_their_controls(files: Files, control: str) -> None:
    assert len(read(files, {"owasp": {"controls": [control]}}).collections["owasp"]) == 3


@pytest.mark.parametrize("control", ["OWASP-CICD-SEC-40", "OWAS", "OWASP-CICD-SEC-4-1", ""])
def test_a_control_that_no_rule_names_is_refused(files: Files, control: str) -> None:
    with pytest.raises(PolicyError, match="no rule names the control"):
        read(files, {"owasp": {"controls": [control]}})


@pytest.mark.parametrize(
    ("collections", "said"),
    [
        ({"a": {"include": ["b"]}}, "no collection 'b'"),
        ({"a": {"include": ["a"]}}, "in a circle"),
        ({"a": {"include": ["b"]}, "b": {"include": ["a"]}}, "in a circle"),
        ({"a": {"rules": ["colours.rad"]}}, "no rule 'colours.rad'"),
        ({"a": {"rules": []}}, "not empty"),
        ({"a": {}}, "not empty"),
        ({"a": {"rule": ["colours.red"]}}, "an object of include, controls and rules"),
        ({"a": {"rules": "colours.red"}}, "an object of include, controls and rules"),
        ({"a": "colours.red"}, "an object of include, controls and rules"),
    ],
)
def test_a_collection_that_can_not_be_used_is_refused(files: Files, collections: dict[str, object], said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        read(files, collections)

    assert said in refused.value.cause
    assert refused.value.where.startswith("collections/")


def test_collections_that_double_again_and_again_are_read_at_once(files: Files) -> None:
    """Fifteen that each include the next twice would be 32,768 lists."""
    doubled: dict[str, object] = {f"c{number}": {"include": [f"c{number + 1}"] * 2} for number in range(15)}

    assert read(files, {**doubled, "c15": ["colours.red"]}).collections["c0"] == ("colours.red",)


def test_a_long_chain_of_collections_is_refused(files: Files) -> None:
    chain: dict[str, object] = {f"c{number:04}": {"include": [f"c{number + 1:04}"]} for number in range(1500)}

    with pytest.raises(PolicyError, match="deep"):
        read(files, {**chain, "c1500": ["colours.red"]})


def test_rules_in_no_collection_are_found(files: Files) -> None:
    found = read(files, {"a": ["colours.red"]})

    assert find_uncollected(found.collections, found.catalogue) == ("colours.blue", "colours.green")
    assert find_uncollected({}, found.catalogue) == ()
