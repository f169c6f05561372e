"""A private policyd for trying samples: somebody's home with settings, keys, store and target, and commands as typed.

Everything goes through the command line, in processes of their own, as root or as another user.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "samples"
ATTACKS = SAMPLES / "attacks"
TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Account:
    """Who types the commands: a uid (None is whoever runs the tests) and a Python with policyd that it can read."""

    uid: int | None
    python: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def is_root(self) -> bool:
        return os.geteuid() == 0 and self.uid in (None, 0)

    def start(self, argv: list[str], *, cwd: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a command as this account."""
        identity: dict[str, Any] = {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **identity,
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it wrote."""

    code: int
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def stdout(self) -> str:
        return self.stdout_bytes.decode()

    @property
    def said(self) -> str:
        """All of it, as one text."""
        return f"{self.stdout_bytes.decode()}\n{self.stderr_bytes.decode()}"

    @property
    def json(self) -> Any:
        """What it answered with `--format json`."""
        return json.loads(self.stdout_bytes)

    def require(self, code: int, *texts: str) -> Ended:
        """Return this if it ended with `code` and said every one of `texts`; line breaks of wrapping don't count."""
        flat = " ".join(self.said.split())
        missing = [text for text in texts if text not in flat]
        assert self.code == code, f"exit code {self.code}, not {code}:\n{self.said}"
        assert not missing, f"nothing says {missing}:\n{self.said}"
        return self


@dataclass(frozen=True, slots=True)
class Workbench:
    """A home: `.config`, `.data`, `.state` with what `policyd init` made, and projects beside."""

    home: Path
    account: Account
    password: str = ""

    @property
    def settings(self) -> Path:
        return self.home / ".config" / "policyd" / "settings.yaml"

    @property
    def trust_policy(self) -> Path:
        return self.settings.with_name("trust.yaml")

    @property
    def keys(self) -> Path:
        return self.settings.with_name("keys")

    @property
    def store(self) -> Path:
        return self.home / ".data" / "policyd" / "store"

    @property
    def target(self) -> Path:
        return self.home / ".data" / "policyd" / "targets" / "local"

    @property
    def environment(self) -> dict[str, str]:
        """The environment its commands get."""
        passed = {
            name: value for name, value in os.environ.items() if not name.startswith(("POLICYD_", "XDG_", "GIT_"))
        }
        return {
            **passed,
            **self.account.environment,
            "PATH": f"{self.home / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".data"),
            "XDG_STATE_HOME": str(self.home / ".state"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "POLICYD_SETTINGS": str(self.settings),
            "POLICYD_KEY_PASSWORD": self.password,
        }

    def add(self, sample: Path, name: str | None = None) -> Path:
        """Return a copy of a sample's folder as a project of this account."""
        project = self.home / (name or f"{sample.name}-{len(list(self.home.iterdir()))}")
        shutil.copytree(sample, project, symlinks=True)
        self.own(project)
        return project

    def own(self, path: Path) -> None:
        """Give a file, or a folder with all in it, to this account."""
        if self.account.uid is None:
            return
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(folder, name), self.account.uid, self.account.uid, follow_symlinks=False)
        os.chown(path, self.account.uid, self.account.uid)

    def policyd(self, project: Path, *args: str | Path, environment: Mapping[str, str | None] | None = None) -> Ended:
        """Type a policyd command in `project`."""
        return self.call(project, *self.account.python, *args, environment=environment)

    def call(self, folder: Path, *argv: str | Path, environment: Mapping[str, str | None] | None = None) -> Ended:
        """Type any command in `folder`. A variable that is None is taken out of the environment."""
        return finish(self.start(folder, *argv, environment=environment))

    def start(
        self, folder: Path, *argv: str | Path, environment: Mapping[str, str | None] | None = None
    ) -> subprocess.Popen[bytes]:
        """Type a command and go on. `policyd` alone is this account's."""
        changed = {**self.environment, **(environment or {})}
        variables = {name: value for name, value in changed.items() if value is not None}
        return self.account.start([str(part) for part in argv], cwd=folder, environment=variables)

    def object(self, sha256: str) -> Path:
        """Return where the store keeps an object."""
        return self.store / "content" / "sha256" / sha256[:2] / sha256

    def log(self, project: Path, stage: str) -> str:
        """Return what `stage` printed in the newest run."""
        (run, *_) = self.policyd(project, "runs", "--format", "json").require(0).json["runs"]
        return self.policyd(project, "logs", run["run_id"], stage).require(0).stdout


def finish(process: subprocess.Popen[bytes]) -> Ended:
    """Wait for a command and return how it ended."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Ended(process.returncode, stdout, stderr)


def own_account() -> Account:
    """Return whoever runs the tests, with the Python that runs them."""
    return Account(None, (sys.executable, "-P", "-m", "policyd"), {"PYTHONPATH": str(ROOT)})


@contextmanager
def open_workbench(account: Account, *, below: Path | None = None, password: str = "") -> Iterator[Workbench]:
    """Make a home with everything `policyd init` makes, in `below` (else /tmp), and remove it in the end."""
    home = Path(mkdtemp(prefix="policyd-bench-", dir=below))
    try:
        # As root, stages run as another uid, which passes through to the target.
        home.chmod(0o711)
        bench = Workbench(home, account, password)
        (home / "bin").mkdir()
        command = home / "bin" / "policyd"
        words = " ".join(f"'{word}'" for word in account.python)
        command.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        command.chmod(0o755)
        first = home / "first"
        first.mkdir()
        bench.own(home)
        bench.policyd(first, "init", environment={"POLICYD_SETTINGS": None}).require(0)
        yield bench
    finally:
        shutil.rmtree(home, ignore_errors=True)


class Listener:
    """A socket that counts who connects, and answers."""

    def __init__(self, *addresses: object, family: int) -> None:
        import socket

        self.connections = 0
        self.addresses: list[Any] = []
        self._sockets = []
        for address in addresses:
            one = socket.socket(family, socket.SOCK_STREAM)
            one.bind(address)  # type: ignore[arg-type]
            one.listen()
            self.addresses.append(one.getsockname())
            self._sockets.append(one)
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: Any) -> None:
        while True:
            try:
                connection, _ = one.accept()
            except OSError:
                return
            self.connections += 1
            with connection, suppress(OSError):
                connection.sendall(b"the host answers")

    def settled(self) -> int:
        """Return how many have connected, once nobody who has is still waiting to be counted."""
        while True:
            before = self.connections
            time.sleep(0.3)
            if self.connections == before:
                return before

    def close(self) -> None:
        import socket

        for one in self._sockets:
            one.shutdown(socket.SHUT_RDWR)
            one.close()
