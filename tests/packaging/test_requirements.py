"""What is installed is locked by hash, comes from the default index, and is what the package says it needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("install", "dev")
LOCKED = re.compile(
    r"([a-z0-9-]+)==([0-9][0-9a-z.]*)"
    r"(?: ; python_version < \"3\.[0-9]+\")?"  # where there are no wheels for a newer Python
    r"((?: +--hash=sha256:[0-9a-f]{64})+)"
)


def inputs(name: str) -> list[str]:
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return [line for line in lines if line and line[0] not in "#-"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    """Return package → version of a lock, after looking at every line of it."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    versions = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = LOCKED.fullmatch(line.strip())
        assert found, f"{name}.txt: not pinned by hash: {line[:80]}"
        versions[found[1]] = found[2]
    return versions


def test_the_package_and_the_lock_start_from_one_list() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert inputs("runtime") == project["dependencies"]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_is_asked_for_and_nothing_but_pins(name: str) -> None:
    """An index, a link or a path in it would change where packages come from."""
    versions = locked(name)
    wanted = inputs("runtime") + inputs("install") + (inputs("dev") if name == "dev" else [])

    for requirement in wanted:
        found = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert found
        assert normal(found[0]) in versions


def test_tests_run_with_the_versions_that_users_get() -> None:
    dev = locked("dev")

    assert {name: dev.get(name) for name in locked("install")} == locked("install")
