"""The shape of the repository: folders that mirror each other, and nothing that belongs on one machine only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.packaging.tree import ROOT, text_files

#: Folders of tests that have no package of their own: about the repository as a whole, or data.
OF_THE_WHOLE = {"attacks", "fuzz", "goldens", "packaging", "policies", "samples", "tools", "vectors"}
WORKFLOW = ".github/workflows/ci.yml"


def in_repository(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_tests_mirror_the_package() -> None:
    packages = {in_repository(path.parent).removeprefix("policyd/") for path in (ROOT / "policyd").rglob("__init__.py")}
    tests = {in_repository(path.parent).removeprefix("tests/") for path in (ROOT / "tests").rglob("test_*.py")}

    assert {name for name in tests if name.split("/")[0] not in OF_THE_WHOLE} <= packages
    assert packages - {"policyd"} <= tests


def test_every_folder_of_modules_is_a_package() -> None:
    """One without `__init__.py` is imported all the same, and escapes the contracts between the layers."""
    for path in (ROOT / "policyd").rglob("*.py"):
        assert (path.parent / "__init__.py").is_file(), in_repository(path)


def test_a_checkout_carries_no_second_rule_library() -> None:
    """The one inside the package goes first: left there by a build, it would be asked in place of `policies/`."""
    assert not (ROOT / "policyd" / "_data").exists()


def test_nothing_names_the_machine_it_was_written_on() -> None:
    """Neither this checkout nor this user's home; /root is left out, since attacks on it are tested."""
    own = [f"{path}/" for path in (ROOT, Path.home()) if len(path.parts) > 2]
    for path in text_files():
        text = path.read_text(errors="replace")
        assert not [name for name in own if name in text], in_repository(path)


def test_work_for_later_is_not_in_the_text() -> None:
    """Ruff looks at Python; rules, scripts and pages are looked at here."""
    later = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    for path in text_files():
        if path.suffix in (".rego", ".sh", ".md", ".yaml", ".yml", ".toml", ".sql", ".css", ".html"):
            assert not later.search(path.read_text()), in_repository(path)


def test_the_licence_is_the_one_that_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["license"] == "Apache-2.0"
    assert "Apache License Version 2.0, January 2004" in " ".join((ROOT / "LICENSE").read_text()[:200].split())


@pytest.mark.skipif(not (ROOT / WORKFLOW).exists(), reason=f"no {WORKFLOW} here")
def test_the_workflow_of_this_repository_keeps_our_own_rules(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "policyd", "check", WORKFLOW],
        cwd=ROOT,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},  # the baseline, whatever this user has set up
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in done.stdout, done.stdout
