"""Starting is cheap because little is imported: which modules, not how many milliseconds (see benchmarks/)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from policyd.adapters.library import library_files
from policyd.adapters.settings_places import SYSTEM_SETTINGS
from policyd.policy.policy_files import digest_policy_files

ROOT = Path(__file__).resolve().parent.parent.parent
_SCRIPT = """\
import json, sys
from policyd.cli.main import run
try:
    run(sys.argv[1:])
except SystemExit:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
#: Each takes from 10 ms to a second to import.
HEAVY = {"cryptography", "opa_client", "regorus", "rich", "securesystemslib", "sigstore", "sigstore_models", "sqlite3"}


def start(*args: str, home: Path) -> tuple[str, set[str]]:
    """Run a command without operator settings; return what it printed and the modules it imported."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *args],
        cwd=ROOT,
        env={"HOME": str(home), "XDG_CONFIG_HOME": str(home), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *said, modules = done.stdout.splitlines()
    return "\n".join(said), set(json.loads(modules))


def test_version_names_the_library_without_parsing_it(tmp_path: Path) -> None:
    said, imported = start("--version", home=tmp_path)

    assert f"library {digest_policy_files(library_files())[:12]}" in said
    assert imported.isdisjoint({*HEAVY, "pydantic", "yaml"})


@pytest.mark.parametrize("command", ["--help", "completion bash"])
def test_help_and_completion_import_no_model(command: str, tmp_path: Path) -> None:
    assert start(*command.split(), home=tmp_path)[1].isdisjoint({*HEAVY, "pydantic", "yaml"})


@pytest.mark.skipif(SYSTEM_SETTINGS.exists(), reason="this machine has operator settings for everybody")
def test_a_check_without_settings_imports_nothing_that_verifies_stores_or_draws(tmp_path: Path) -> None:
    said, imported = start("check", "samples/python-package/pipeline.yaml", home=tmp_path)

    assert "1 pipeline may run" in said
    assert imported.isdisjoint(HEAVY)
