"""A short run of every fuzzing harness, so that they keep working and the shallow finds are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris is not installed (it has no build for this Python)")

HARNESS = Path(__file__).parent / "verifying.py"
ROOT = HARNESS.parent.parent.parent


@pytest.mark.parametrize(
    "parser",
    [
        "bundle",
        "trust-config",
        "identity-token",
        "trusted-root",
        "envelope",
        "statement",
        "certificate",
        "evidence",
        "log-entry",
        "npm-tarball",
        "registry",
        "timestamp",
    ],
)
def test_a_short_run_finds_no_foreign_error(parser: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, HARNESS, parser, "-runs=1500", "-seed=1", f"-artifact_prefix={tmp_path}/"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
