"""The list of effects for rule authors, and what no test of a single topic asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from policyd.models.facts import EffectKind

ROOT = Path(__file__).parents[3]


def test_the_page_for_rule_authors_lists_exactly_the_kinds_there_are() -> None:
    page = (ROOT / "docs" / "rego.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]

    listed = [kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)]

    assert set(get_args(EffectKind)) <= set(listed)
    assert len(listed) == len(set(listed))


def test_every_kind_is_found_by_something() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "policyd" / "pipeline").rglob("*.py"))

    assert [kind for kind in get_args(EffectKind) if f'"{kind}"' not in sources] == []
