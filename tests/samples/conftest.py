"""Homes to try samples in, and an ordinary user to try attacks as."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.samples.workbench import ROOT, Account, Workbench, open_workbench, own_account

USER_UID = 12_345
#: What `check`, `plan`, `run` and `verify` import; the rest of policyd's dependencies is for other commands.
NEEDED = (
    *("click", "cryptography", "gordon-to-regorus", "platformdirs", "pydantic", "PyYAML", "rfc8785"),
    *("tree-sitter", "tree-sitter-bash"),
)
PROBE = "import policyd.app.run, policyd.app.verify, policyd.cli.run, policyd.cli.init, regorus, yaml, cryptography, tree_sitter_bash"


@pytest.fixture(scope="session")
def user_account() -> Iterator[Account]:
    """An ordinary user. Where the tests run as one, that one; else another uid with a Python that it can read."""
    if os.geteuid() != 0:
        yield own_account()
        return
    here = Account(USER_UID, (sys.executable, "-P", "-m", "policyd"), {"PYTHONPATH": str(ROOT)})
    if not _problem(here):
        yield here
        return
    folder = Path(mkdtemp(prefix="policyd-python-"))
    try:
        folder.chmod(0o755)
        account = _copy_python(folder)
        problem = _problem(account) if account else "/usr/bin has no Python of the version that runs the tests"
        if account is None or problem:
            pytest.skip(f"no Python with policyd that uid {USER_UID} can read: {problem}")
        yield account
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["self", "user"])
def account(request: pytest.FixtureRequest) -> Account:
    """Whoever runs the tests, and then an ordinary user."""
    if request.param == "self":
        return own_account()
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    found: Account = request.getfixturevalue("user_account")
    return found


@pytest.fixture(scope="session")
def shared_bench(bwrap: Path) -> Iterator[Workbench]:
    """A home for tests that break nothing in it."""
    with open_workbench(own_account()) as bench:
        yield bench


@pytest.fixture
def bench(bwrap: Path) -> Iterator[Workbench]:
    """A home of the test's own."""
    with open_workbench(own_account()) as bench:
        yield bench


@pytest.fixture(scope="session")
def user_bench(user_account: Account, bwrap: Path) -> Iterator[Workbench]:
    """The same of an ordinary user."""
    with open_workbench(user_account) as bench:
        yield bench


@pytest.fixture
def account_bench(request: pytest.FixtureRequest, account: Account) -> Workbench:
    """The shared home of whoever runs the tests, and then that of an ordinary user."""
    name = "shared_bench" if account.uid is None else "user_bench"
    found: Workbench = request.getfixturevalue(name)
    return found


def _problem(account: Account) -> str:
    """Return why this account's Python can't import policyd; empty where it can."""
    try:
        done = subprocess.run(
            [account.python[0], "-P", "-c", PROBE],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", **account.environment},
            user=account.uid,
            group=account.uid,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip()[-500:] or f"exit code {done.returncode}"


def _copy_python(folder: Path) -> Account | None:
    """Make an environment in `folder` on the system's Python, with copies of policyd and what it needs."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = next(
        (path for path in (Path("/usr/bin") / version, Path("/usr/local/bin") / version) if path.exists()), None
    )
    if system is None:
        return None
    subprocess.run([system, "-I", "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=60)
    packages = folder / "venv" / "lib" / version / "site-packages"
    for name in _with_requirements(NEEDED):
        _copy_distribution(name, packages)
    nothing_compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "policyd", packages / "policyd", ignore=nothing_compiled)
    shutil.copytree(ROOT / "policies", packages / "policyd" / "_data" / "policies", dirs_exist_ok=True)
    return Account(USER_UID, (str(folder / "venv" / "bin" / "python3"), "-P", "-m", "policyd"), {})


def _with_requirements(names: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            requirements = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # for another platform or version of Python
        found.add(name)
        waiting += [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in requirements if "extra ==" not in line]
    return found


def _copy_distribution(name: str, packages: Path) -> None:
    for file in distribution(name).files or []:
        source = Path(str(file.locate()))
        if ".." in file.parts or "__pycache__" in file.parts or not source.is_file():
            continue
        destination = packages / file
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)
