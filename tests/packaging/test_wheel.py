"""The wheel, installed into an empty environment far from the repository, does the main job.

The one place where tests fetch packages: those of the lock, as `make test` itself does.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyd.adapters.library import library_files
from policyd.policy.policy_set import read_policy_set
from tests.packaging.tree import ROOT, text_files

pytestmark = pytest.mark.xdist_group("wheel")  # built once

BAD_WORKFLOW = """\
on: issues
jobs:
  greet:
    runs-on: ubuntu-24.04
    steps:
      - run: echo "${{ github.event.issue.title }}"
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the uid of stages can pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="policyd-wheel-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """The wheel, built from the sdist as a release is: so both can be built."""
    dist = folder / "dist"
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, ROOT)
    [sdist], [wheel] = dist.glob("*.tar.gz"), dist.glob("*.whl")
    assert sdist.stem.removesuffix(".tar") == "-".join(wheel.name.split("-")[:2])
    return wheel


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Path:
    """policyd as installed from the wheel, with the locked packages: pip refuses what it needs beyond them."""
    venv, wanted = folder / "venv", folder / "requirements.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    locked = (ROOT / "requirements" / "install.txt").read_text()
    wanted.write_text(f"{locked}policyd @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    call(sys.executable, "-m", "venv", venv)
    python = venv / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", "--no-compile", "--require-hashes", "--requirement", wanted)
    return venv / "bin" / "policyd"


def call(*argv: str | Path, code: int = 0, **variables: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("POLICYD_", "PYTHON"))}
    done = subprocess.run(
        argv, cwd="/", env={**inherited, **variables}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, f"{argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_carries_the_rules_and_the_sample(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {path.relative_to(ROOT).as_posix() for path in text_files()}

    for carried in ("policies", "samples/python-package"):
        here = {name for name in ours if name.startswith(f"{carried}/")}
        assert {name.removeprefix("policyd/_data/") for name in names if f"/_data/{carried}/" in name} == here
    assert {"policyd/py.typed", "policyd/adapters/stores/migrations/0001_record.sql"} <= names
    assert not [name for name in names if name.startswith(("tests/", "policies/", "samples/"))]


def test_the_installed_library_is_the_one_of_the_checkout(installed: Path) -> None:
    """A trust policy that lists one digest must accept decisions made with either."""
    code = (
        "from policyd.adapters.library import library_files;"
        "from policyd.policy.policy_set import read_policy_set;"
        "print(read_policy_set(library_files(), name='policyd-library').sha256)"
    )

    digest = call(installed.parent / "python", "-c", code).strip()

    assert digest == read_policy_set(library_files(), name="policyd-library").sha256


def test_the_installed_policyd_checks_a_workflow(installed: Path, folder: Path) -> None:
    (folder / "workflows").mkdir()
    (folder / "workflows" / "greet.yml").write_text(BAD_WORKFLOW)

    said = call(installed, "check", folder / "workflows" / "greet.yml", code=1, XDG_CONFIG_HOME=str(folder))

    assert "injection.untrusted_expression" in said
    assert "greet.yml:6" in said


def test_the_installed_policyd_shows_the_main_job(installed: Path, bwrap: Path) -> None:
    said = call(installed, "demo")

    assert "verified  wordtally" in said
    assert "not verified  wordtally" in said


def test_the_installed_policyd_lists_its_commands_for_the_shell(installed: Path) -> None:
    said = call(installed, _POLICYD_COMPLETE="bash_complete", COMP_WORDS="policyd ver", COMP_CWORD="1")

    assert said == "plain,verify\n"
