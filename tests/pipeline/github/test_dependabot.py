from __future__ import annotations

import pytest

from policyd.errors import DocumentError
from policyd.pipeline.kinds import find_kind
from policyd.pipeline.reading import read_pipeline

PATH = ".github/dependabot.yml"
TEXT = """\
version: 2
registries:
  own:
    type: npm-registry
    url: https://npm.example
    username: bot
    token: ${{ secrets.NPM }}
    password: hunter2
updates:
  - package-ecosystem: npm
    directory: /
    schedule: {interval: daily}
    insecure-external-code-execution: allow
"""


def test_dependabots_settings_are_told_by_their_path_and_by_their_name() -> None:
    assert find_kind(PATH, b"") == ("github", "settings")
    assert find_kind("x/dependabot.yml", b"version: 2\nupdates: []\n") == ("github", "settings")
    assert find_kind("x/other.yml", b"version: 2\nupdates: []\n") is None


def test_dependabots_settings_are_a_document_with_few_facts() -> None:
    read = read_pipeline(PATH, TEXT.encode())

    assert read.ref.kind == "settings"
    assert isinstance(read.document, dict)
    assert read.facts.stages == []
    assert [(one.name, one.literal, one.secret, one.origin) for one in read.facts.variables] == [
        ("username", True, False, "credentials"),
        ("password", True, False, "credentials"),
        ("token", False, True, "credentials"),
    ]
    place = read.source_map.place(read.facts.variables[1].at)
    assert place is not None
    assert place.line == 8


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "updates: []",
        "version: 1\nupdates: []",
        "version: 2\nupdates: {}",
        "version: 2\nupdates: [x]",
        "version: 2\nupdates: [{package-ecosystem: [npm]}]",
        "version: 2\nupdates: [{schedule: daily}]",
        "version: 2\nupdates: [{cooldown: 7}]",
        "version: 2\nupdates: []\nregistries: [x]",
        "version: 2\nupdates: []\nregistries: {a: b}",
        "version: 2\nupdates: []\nregistries: {a: {token: [x]}}",
    ],
)
def test_settings_of_another_shape_are_refused_with_their_place(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_pipeline(PATH, text.encode())

    assert caught.value.where.startswith(f"{PATH}:")
