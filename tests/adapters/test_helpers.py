"""Helper programs come from a fixed place, checked, and never from the caller's PATH."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyd.adapters import helpers
from policyd.adapters.helpers import find_helper, require_helper
from policyd.errors import SettingsError, UnsafePermissions


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands for the system's folder of programs."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        monkeypatch.setattr(helpers, "SYSTEM_PATH", (Path(name),))
        yield Path(name)


def make_program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_system_path_is_searched_and_the_digest_taken(folder: Path) -> None:
    program = make_program(folder / "git")

    helper = find_helper("git")

    assert helper is not None
    assert (helper.name, helper.path) == ("git", program)
    assert helper.sha256 == hashlib.sha256(program.read_bytes()).hexdigest()


def test_a_helper_on_the_callers_path_is_not_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_program(tmp_path / "opa")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert find_helper("opa") is None
    with pytest.raises(SettingsError, match="opa is not installed") as caught:
        require_helper("opa")
    assert "helpers.opa" in caught.value.fix


def test_what_the_operator_names_comes_first(folder: Path) -> None:
    make_program(folder / "git")
    (folder / "other").mkdir()
    named = make_program(folder / "other" / "my-git")

    assert require_helper("git", str(named)).path == named


@pytest.mark.parametrize("configured", ["git", "./git", "/no/such/git"])
def test_a_named_helper_that_is_not_there_is_not_replaced_by_another(folder: Path, configured: str) -> None:
    make_program(folder / "git")

    with pytest.raises(SettingsError):
        find_helper("git", configured)


def test_a_helper_others_can_change_is_refused(folder: Path) -> None:
    make_program(folder / "bwrap").chmod(0o775)

    with pytest.raises(UnsafePermissions):
        find_helper("bwrap")


def test_a_link_on_the_system_path_leads_to_a_program_that_is_checked_too(folder: Path) -> None:
    (folder / "real").mkdir()
    program = make_program(folder / "real" / "git")
    (folder / "git").symlink_to(program)
    assert require_helper("git").path == program

    program.chmod(0o777)
    with pytest.raises(UnsafePermissions):
        find_helper("git")


def test_a_changed_helper_has_another_digest(folder: Path) -> None:
    program = make_program(folder / "git")
    before = require_helper("git").sha256
    program.write_text("#!/bin/sh\nexit 1\n")

    assert require_helper("git").sha256 != before
