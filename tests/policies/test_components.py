"""The list of known components that comes with the library: its shape, and that rules can compare what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tools.components import SUMMARY, render

KEYS = {"id", "aliases", "from", "fixed", "moved", "commits", "summary", "source"}
VERSION = re.compile(r"(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){2}")
MAX_BYTES = 256 * 1024  # parsed for each check


@pytest.fixture(scope="module")
def components(files: Mapping[str, bytes]) -> dict[str, Any]:
    content = files["data/components.json"]
    assert len(content) < MAX_BYTES
    found: dict[str, Any] = json.loads(content)
    return found


def test_advisories_say_what_is_affected_and_who_says_so(components: dict[str, Any]) -> None:
    assert components["schema"] == "policyd.components/v1"
    for kind, slug, advisory in _advisories(components):
        assert kind in ("action", "image")
        assert advisory.keys() == KEYS, slug
        assert VERSION.fullmatch(advisory["from"]), slug
        if advisory["fixed"]:
            assert VERSION.fullmatch(advisory["fixed"]), slug
            assert _numbers(advisory["from"]) < _numbers(advisory["fixed"]) or advisory["commits"], slug
        assert isinstance(advisory["moved"], bool), slug
        assert re.fullmatch(r"GHSA(-[0-9a-z]{4}){3}|[\w.-]+/[\w.-]+#[0-9]+", advisory["id"]), slug
        assert advisory["summary"], slug
        assert len(advisory["summary"]) <= SUMMARY, slug
        assert advisory["source"].startswith("https://"), slug
        assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in advisory["commits"]), slug


def test_the_file_is_laid_out_as_its_refresh_writes_it(components: dict[str, Any], files: Mapping[str, bytes]) -> None:
    """Else the next refresh changes lines that nobody meant."""
    assert files["data/components.json"].decode() == render(components) + "\n"


def test_names_are_spelled_as_references_are_looked_up(components: dict[str, Any]) -> None:
    names = [
        *(slug for _, slug, _ in _advisories(components)),
        *(slug for listed in components["archived"].values() for slug in listed),
        *(slug for listed in components["tools"].values() for slug in listed),
        *(name for listed in components["popular"].values() for name in listed),
        *components["owners"],
        *components["superfluous"],
    ]
    assert names == [name.lower().strip() for name in names]
    assert all(slug.count("/") == 1 for slug in components["vulnerable"]["action"])


def test_no_well_known_component_looks_like_another(components: dict[str, Any]) -> None:
    """Else one of them would be reported for the other: their owners have to be known."""
    owners = {owner for listed in components["popular"]["action"].values() for owner in listed}
    assert owners <= set(components["owners"])


def _advisories(components: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for kind, listed in components["vulnerable"].items():
        for slug, advisories in listed.items():
            for advisory in advisories:
                yield kind, slug, advisory


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
