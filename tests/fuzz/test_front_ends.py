"""A short run of the fuzzer against each front end, from the examples of the rule library; `make fuzz` runs longer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = int(os.environ.get("POLICYD_FUZZ_RUNS", "1500"))
DIALECTS = ("policyd", "github", "gitlab", "azure", "tekton")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Examples of the rules, each behind the byte that chooses a path."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, example in enumerate(sorted((ROOT / "policies").glob("*/*/examples/*.y*ml"))):
        (folder / str(number)).write_bytes(b"\0" + example.read_bytes())
    return folder


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_bytes_give_facts_or_an_error_of_policyd(dialect: str, corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the fuzzer has no wheel for this Python")

    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.front_ends", dialect),
            *(f"-runs={RUNS}", "-max_len=4096", "-timeout=30", "-rss_limit_mb=2048", f"-artifact_prefix={tmp_path}/"),
            str(corpus),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=None if RUNS > 10_000 else 300,
    )

    crashes = [path.read_bytes()[:400] for path in tmp_path.glob("crash-*")]
    assert done.returncode == 0, f"{crashes}\n{done.stderr[-3000:]}"
    assert "DONE" in done.stderr
