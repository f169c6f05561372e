"""Both engines, kept running, for one small module after another: what starting them anew each time would cost."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from policyd.adapters.engines.rule_process import RuleProcess
from policyd.adapters.library import library_builtins
from policyd.errors import EngineError
from policyd.policy.engine import Answer
from policyd.policy.input_subset import find_number, holds_wide_characters
from policyd.policy.subset import ValueUse, require_subset

SECONDS = 5.0
MODULES_A_PROCESS = 200  # the rule process keeps every module it was given


class Refused(Exception):
    """A module that an engine does not take."""


class Embedded:
    """The rule process and the check of the subset, as the embedded engine puts them together."""

    def __init__(self) -> None:
        self._process: RuleProcess | None = None
        self._loaded = 0
        self._uses: dict[str, ValueUse] = {}

    def load(self, text: str, package: str) -> str:
        """Return the key to ask this module by. Raises `PolicyError` where it may not be used."""
        if self._process is None or self._loaded >= MODULES_A_PROCESS:
            self.close()
            self._process, self._loaded = RuleProcess(512 * 1024 * 1024, SECONDS), 0
        self._loaded += 1
        key, path = f"m{self._loaded}", "made.rego"
        asts = self._process.load(key, {path: text}, {}, time.monotonic() + SECONDS)
        self._uses[key] = require_subset(asts, {path: package}, library_builtins())[path]
        return key

    def bears(self, key: str, document: bytes) -> bool:
        """Say whether the module may be asked about this input: it holds no number or character that it minds."""
        found, use = find_number(document), self._uses[key]
        if use.counts_characters and holds_wide_characters(document):
            return False
        return found is None or found.kind <= use.bearable

    def ask(self, key: str, entrypoints: Sequence[str], document: bytes) -> Mapping[str, Answer]:
        """Answer the entry points."""
        assert self._process is not None
        try:
            return self._process.ask(key, entrypoints, document, time.monotonic() + SECONDS)
        except EngineError:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.stop()
            self._process = None


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("opa", timeout=SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


class Opa:
    """An OPA server on a socket that only we can reach."""

    def __init__(self, path: Path) -> None:
        self._connection = _Connection(path)

    def load(self, text: str) -> None:
        """Have OPA hold this module alone. Raises `Refused` where it does not compile."""
        status, body = self._call("PUT", "/v1/policies/made", text.encode())
        if status != 200:
            raise Refused(body)

    def ask(self, path: str, document: bytes, *, strict: bool = True) -> Answer:
        """Answer one entry point, with failing builtins as errors unless asked otherwise."""
        status, body = self._call(
            "POST",
            f"/v1/data/{path.replace('.', '/')}?strict-builtin-errors={str(strict).lower()}",
            b'{"input":%b}' % document,
        )
        return Answer(value=body.get("result")) if status == 200 else Answer(error=json.dumps(body)[:500])

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _call(self, method: str, path: str, content: bytes) -> tuple[int, dict[str, Any]]:
        self._connection.request(method, path, content, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def open_opa(opa: Path) -> Iterator[Opa]:
    """Start OPA and end it."""
    with TemporaryDirectory(prefix="policyd-opa-") as folder:
        path = Path(folder) / "s"
        process = subprocess.Popen(
            [str(opa), "run", "--server", f"--addr=unix://{path}", "--skip-version-check", "--log-level=error",
             "--shutdown-grace-period=0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 10
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            server = Opa(path)
            try:
                yield server
            finally:
                server.close()
        finally:
            process.kill()
            process.wait()
