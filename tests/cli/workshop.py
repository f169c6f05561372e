"""A private policyd for tests: settings, keys, store and a project of its own, and the real command line."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest import mock

from policyd.app.init import Places, initialise
from policyd.cli import main
from policyd.models.canonical import sha256_hex

TIMEOUT_SECONDS = 120

#: A run that succeeds and releases one artifact, in a fifth of a second of stages.
RELEASING = """\
policyd: pipeline/v1
name: demo
stages:
  - name: test
    kind: test
    inputs: {source: [data.txt]}
    run: |
      grep -q hello data.txt
      echo '<testsuite name="demo" tests="1" failures="0"><testcase name="greets"/></testsuite>' > "$OUT/junit.xml"
    results:
      - {name: unit, kind: junit, path: junit.xml}

  - name: sbom
    kind: scan
    inputs: {source: [data.txt]}
    run: |
      printf '{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}' > "$OUT/bom.json"
    results:
      - {name: bom, kind: sbom, path: bom.json}

  - name: build
    kind: build
    needs: [test, sbom]
    inputs: {source: [data.txt]}
    run: cp data.txt "$OUT/greeting"
    outputs:
      - {name: greeting, path: greeting}

  - name: publish
    kind: deploy
    needs: [build, test, sbom]
    inputs: {products: [build.greeting]}
    run: cp "$INPUTS/build/greeting/greeting" "$TARGET/"
    target: local
"""

HEAD = "policyd: pipeline/v1\nname: demo\nstages:\n"


def one_stage(run: str, *more: str, name: str = "build", kind: str = "build") -> str:
    """Return a pipeline of one stage; `run` and `more` are lines of YAML inside it."""
    lines = [f"  - name: {name}", f"    kind: {kind}", *(f"    {line}" for line in (f"run: {run}", *more))]
    return HEAD + "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer on stdout; nothing else may be there."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}"

    def require(self, code: int) -> Said:
        """Return this answer if it ended with `code`."""
        assert self.code == code, str(self)
        return self

    def require_one_error(self, code: int, *texts: str) -> Said:
        """Return this answer if it is one clear error that says all of `texts`, and nothing else on stdout."""
        self.require(code)
        assert self.out == ""
        return self.require_error(*texts)

    def require_error(self, *texts: str) -> Said:
        """Return this answer if stderr has what went wrong, where, and what to do, once each, and no traceback."""
        assert "Traceback" not in self.err
        for word in ("error: ", "  where: ", "  to do: "):
            assert sum(line.startswith(word) for line in self.err.splitlines()) == 1, str(self)
        for text in texts:
            assert text in self.err, str(self)
        return self


@dataclass
class Workshop:
    """Everything policyd needs, in one folder."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def places(self) -> Places:
        return Places(*(self.home / name for name in ("config", "data", "state", "targets")))

    @property
    def project(self) -> Path:
        return self.home / "project"

    @property
    def store(self) -> Path:
        return self.places.data / "store"

    @property
    def settings(self) -> Path:
        return self.places.settings

    def write(self, text: str, path: str = "pipeline.yaml") -> Path:
        """Write a file of the project."""
        file = self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def environ(self, more: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Return the environment a command gets; None takes a variable out."""
        variables: dict[str, str | None] = {
            "PYTHONPATH": os.environ.get("PYTHONPATH"),
            "PATH": os.defpath,
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "POLICYD_SETTINGS": str(self.settings),
            "POLICYD_KEY_PASSWORD": "",
            **self.environment,
            **(more or {}),
        }
        return {name: value for name, value in variables.items() if value is not None}

    def policyd(
        self, *args: object, cwd: Path | None = None, env: Mapping[str, str | None] | None = None, script: str = ""
    ) -> Said:
        """Run a command. `script` is Python to run before, in the same process."""
        done = subprocess.run(
            [*command(script), *map(str, args)],
            cwd=cwd or self.project,
            env=self.environ(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def call(self, *args: object, cwd: Path | None = None, env: Mapping[str, str | None] | None = None) -> Said:
        """Run a command in this process: the same function, without half a second to start Python."""
        out, err = io.StringIO(), io.StringIO()
        with (
            chdir(cwd or self.project),
            mock.patch.dict(os.environ, self.environ(env), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main.run([str(arg) for arg in args])
            except SystemExit as ended:
                code = ended.code
        assert isinstance(code, int)
        return Said(int(code), out.getvalue(), err.getvalue())

    def start(self, *args: object) -> subprocess.Popen[str]:
        """Start a command and go on."""
        return subprocess.Popen(
            [*command(), *map(str, args)],
            cwd=self.project,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def object(self, sha256: str) -> Path:
        """Return where the store keeps this object."""
        return self.store / "content" / "sha256" / sha256[:2] / sha256

    def change_settings(self, old: str, new: str) -> None:
        """Replace a part of the operator settings; it has to be there."""
        text = self.settings.read_text()
        assert old in text
        self.settings.write_text(text.replace(old, new))

    def change_trust(self, old: str, new: str) -> None:
        """Replace a part of the trust policy and pin the new one."""
        path = self.places.config / "trust.yaml"
        before = path.read_text()
        assert old in before
        after = before.replace(old, new)
        path.write_text(after)
        self.change_settings(sha256_hex(before.encode()), sha256_hex(after.encode()))


def command(script: str = "") -> list[str]:
    """Return how policyd is called; with `script`, after it in the same process."""
    if not script:
        return [sys.executable, "-m", "policyd"]
    return [sys.executable, "-c", f"{script}\nfrom policyd.cli.main import run\nrun()"]


@contextmanager
def open_workshop(settings: str = "") -> Iterator[Workshop]:
    """Make a workshop and remove it in the end. `settings` are lines added to the operator's.

    Below /tmp and not below pytest's folder: as root, stages run as a uid that has to reach the target.
    """
    home = Path(mkdtemp(prefix="policyd-test-"))
    home.chmod(0o711)
    try:
        workshop = Workshop(home)
        workshop.project.mkdir()
        initialise(workshop.project, "", workshop.places)
        workshop.write(RELEASING)
        workshop.write("hello\n", "data.txt")
        with workshop.settings.open("a") as file:
            file.write(settings)
        yield workshop
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def put_back(path: Path) -> Iterator[Path]:
    """Let a test do anything to a file, and put it back as it was."""
    content, mode = path.read_bytes(), path.stat().st_mode
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(mode)


def wait_for(process: subprocess.Popen[str], line: str) -> str:
    """Read the stderr of a command until a line contains `line`; return what was read."""
    assert process.stderr is not None
    read = ""
    for text in process.stderr:
        read += text
        if line in text:
            return read
    raise AssertionError(f"it ended without {line!r}:\n{read}")


def finish(process: subprocess.Popen[str], stop: signal.Signals | None = None) -> Said:
    """Signal a command where asked to, and return how it ended."""
    if stop is not None:
        process.send_signal(stop)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    return Said(process.returncode, out, err)


def processes_with(mark: str) -> list[int]:
    """Return the processes whose command line or environment holds `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def await_none(mark: str, seconds: float = 10) -> bool:
    """Say whether all processes with `mark` are gone within `seconds`."""
    deadline = time.monotonic() + seconds
    while processes_with(mark):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def on_terminal(shop: Workshop, *args: object, typed: Mapping[str, str], env: Mapping[str, str | None]) -> Said:
    """Run a command on a terminal of its own. `typed` is what a person answers to each prompt that ends in its key."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [*command(), *map(str, args)],
        cwd=shop.project,
        env=shop.environ({"TERM": "xterm", **env}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # passphrases are read from /dev/tty
    )
    os.close(slave)
    said, answered = b"", 0
    with suppress(OSError):  # EIO: the other side was closed
        while chunk := os.read(master, 65_536):
            said += chunk
            for prompt, answer in typed.items():
                if said[answered:].decode(errors="replace").rstrip().endswith(prompt):
                    os.write(master, answer.encode() + b"\n")
                    answered = len(said)
    code = process.wait(TIMEOUT_SECONDS)
    os.close(master)
    return Said(code, said.decode(errors="replace").replace("\r\n", "\n"), "")
