"""Workshops: one that a module shares, one with a run in it, and fresh ones for tests that break things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.workshop import Workshop, open_workshop


@dataclass
class Released:
    """A workshop in which one run released one artifact."""

    shop: Workshop
    artifact: Path
    run: dict[str, Any]  # as `policyd run --format json` printed it

    @property
    def run_id(self) -> str:
        return str(self.run["manifest"]["run_id"])

    @property
    def manifest_sha256(self) -> str:
        return str(self.run["manifest_sha256"])

    @property
    def summary_sha256(self) -> str:
        return str(self.run["released"][0]["summary_sha256"])


@pytest.fixture
def fresh() -> Iterator[Workshop]:
    """A workshop of the test's own."""
    with open_workshop() as made:
        yield made


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    """A workshop that the tests of a module share: they leave settings, keys and store as they are."""
    with open_workshop() as made:
        yield made


@pytest.fixture(scope="module")
def released(shop: Workshop, bwrap: Path) -> Released:
    """The shared workshop after a run; tests leave what it made as it is, or put it back."""
    run = shop.policyd("run", "pipeline.yaml", "--format", "json").require(0).json
    return Released(shop, shop.places.targets / "local" / "greeting", run)


@pytest.fixture(scope="module")
def opa_shop(opa: Path) -> Iterator[Workshop]:
    """A workshop whose operator names the real OPA."""
    with open_workshop(f'helpers: {{opa: "{opa}"}}\n') as made:
        yield made
