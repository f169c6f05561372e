from __future__ import annotations

from pathlib import Path

import pytest

from policyd.adapters.signers.passphrase import run_password_command
from policyd.errors import KeyUnusable, PolicydError, SettingsError, UnsafePermissions


def _program(folder: Path, script: str, mode: int = 0o755) -> Path:
    path = folder / "ask"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return path


def test_what_the_program_prints_is_the_passphrase(tmp_path: Path) -> None:
    program = _program(tmp_path, 'printf "%s of %s\\n" "$1" "$POLICYD_KEY"')

    assert run_password_command([str(program), "word"], "/keys/log.key") == "word of /keys/log.key"


def test_the_program_sees_nothing_of_its_callers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_LIKE", "evil")
    program = _program(tmp_path, "env | cut -d= -f1 | sort | tr '\\n' ' '")

    seen = set(run_password_command([str(program)], "k").split())

    assert seen - {"PWD", "_", "SHLVL", "OLDPWD"} == {"HOME", "LC_ALL", "PATH", "POLICYD_KEY"}


def test_only_the_last_newline_is_no_part_of_a_passphrase(tmp_path: Path) -> None:
    assert run_password_command([str(_program(tmp_path, "printf ' a b \\n\\n'"))], "k") == " a b \n"


@pytest.mark.parametrize("script", ["exit 1", "true", "echo secret; exit 3", "head -c 5000 /dev/zero"])
def test_a_program_that_fails_or_prints_no_passphrase_is_an_error(tmp_path: Path, script: str) -> None:
    with pytest.raises(KeyUnusable) as caught:
        run_password_command([str(_program(tmp_path, script))], "k")

    assert "secret" not in caught.value.cause


def test_a_program_that_others_can_change_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(UnsafePermissions):
        run_password_command([str(_program(tmp_path, "echo x", 0o777))], "k")


def test_a_program_is_named_in_full_and_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="absolute"):
        run_password_command(["cat"], "k")
    with pytest.raises(PolicydError):
        run_password_command([str(tmp_path / "nothing")], "k")


def test_a_program_that_can_not_be_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="can't be run"):
        run_password_command([str(_program(tmp_path, "echo x", 0o644))], "k")
