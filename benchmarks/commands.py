"""policyd as a command of its own, the way a user starts it, with settings, keys and store of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from time import perf_counter

from policyd.adapters.sandboxes.workspace import remove_tree
from policyd.app.init import Places, initialise

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: wall time, and the most memory that it or one of its children ever had."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with a project and everything policyd needs, apart from the user's own."""

    folder: Path

    @property
    def project(self) -> Path:
        """The project's root."""
        return self.folder / "project"

    @property
    def places(self) -> Places:
        """Settings, store, state and targets."""
        return Places(
            config=self.folder / "config",
            data=self.folder / "data",
            state=self.folder / "state",
            targets=self.folder / "targets",
        )

    def policyd(self, *args: str, expected: int = 0) -> Ended:
        """Run `policyd ARGS` in the project; raise where it ends otherwise than `expected`."""
        return call([sys.executable, "-m", "policyd", *args], cwd=self.project, home=self, expected=expected)


@contextmanager
def open_home(parent: Path | None = None) -> Iterator[Home]:
    """Make a home below `parent` (the folder for temporary files without one) and remove it in the end."""
    home = Home(Path(mkdtemp(prefix="policyd-bench-", dir=parent)))
    try:
        home.folder.chmod(0o711)  # as root, stages run as another uid, which passes through to their targets
        home.project.mkdir()
        initialise(home.project, "", home.places)
        yield home
    finally:
        remove_tree(home.folder)


def call(
    argv: Sequence[str],
    *,
    cwd: Path = ROOT,
    home: Home | None = None,
    expected: int | Container[int] = 0,
    more: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command to its end and measure it. Its output is thrown away, its errors are kept.

    `more` are variables that are set for it, `expected` the exit codes that it may end with.
    """
    codes = (expected,) if isinstance(expected, int) else expected
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POLICYD_")}
    # An installed policyd has its bytecode beside it; a checkout may not be allowed to, so it has a place of its own.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(bytecode_folder())
    environment["PYTHONPATH"] = str(ROOT)
    if home is None:
        environment["XDG_CONFIG_HOME"] = os.devnull  # whoever measures may have settings of their own
    else:
        environment |= {"POLICYD_SETTINGS": str(home.places.settings), "POLICYD_KEY_PASSWORD": ""}
    environment |= more or {}
    with TemporaryFile() as said:
        start = perf_counter()
        process = subprocess.Popen(
            argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        took = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it once more
        said.seek(0)
        stderr = said.read().decode(errors="replace")
    if process.returncode not in codes:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}, expected {expected}:\n{stderr}")
    return Ended(took, usage.ru_maxrss * 1024)


def bytecode_folder() -> Path:
    """Return where the benchmarks keep compiled modules."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "policyd-benchmarks" / "bytecode"
