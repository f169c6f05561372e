"""Passphrases from a program that operator settings name, such as the client of a password manager."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from policyd.adapters.strict_modes import require_safe_file
from policyd.errors import KeyUnusable, SettingsError

TIMEOUT_SECONDS = 60.0  # a person may have to unlock something
MAX_BYTES = 4096


def run_password_command(command: Sequence[str], key: str) -> str:
    """Return what `command` prints for the key named `key`, without the newline at its end.

    The program is checked like a settings file and sees only PATH, HOME and POLICYD_KEY, the key's path or URI. Raises
    `SettingsError` for a program that isn't named in full, `UnsafePermissions` for one that others can change,
    `KeyUnusable` where it fails, takes too long or prints nothing.
    """
    program = Path(command[0])
    if not program.is_absolute():
        raise SettingsError(
            "the program of `password_command` is not an absolute path", where=command[0], fix="write it in full"
        )
    real = require_safe_file(program)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": pwd.getpwuid(os.geteuid()).pw_dir,
        "LC_ALL": "C.UTF-8",
        "POLICYD_KEY": key,
    }
    try:
        done = subprocess.run(
            [str(real), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment,
            cwd="/",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(f"it can't be run or took longer than {TIMEOUT_SECONDS:.0f} s", program) from error
    if done.returncode != 0:
        raise _failed(f"it ended with {done.returncode}", program)
    passphrase = done.stdout.removesuffix(b"\n").removesuffix(b"\r")
    if not passphrase or len(passphrase) > MAX_BYTES:
        raise _failed("it printed nothing, or more than a passphrase", program)
    return passphrase.decode("utf-8", "surrogateescape")


def _failed(cause: str, program: Path) -> KeyUnusable:
    return KeyUnusable(
        f"there is no passphrase: {cause}", where=f"password_command {program}", fix="run it by hand and see"
    )
