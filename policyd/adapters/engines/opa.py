"""The reference engine: a real OPA server that policyd starts for itself.

It listens on loopback behind TLS with a certificate made for this one start, and answers only to a random bearer
token: another user of the machine can neither ask it nor stand in for it. Before it starts, `opa check` holds the
policy against the capabilities, which a running OPA would not take. The modules are there from its start and not
uploaded one by one: each upload is compiled alone, so a module would have to come after all it uses, and the server
would for a while answer with a part of the policy. What it holds is read back and compared.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import resource
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policyd.adapters.closing import Closing
from policyd.adapters.engines.loopback_tls import write_certificate
from policyd.adapters.library import library_folder
from policyd.errors import EngineError, PolicyError
from policyd.models.decision import EngineRef
from policyd.policy.engine import Answer
from policyd.policy.entrypoints import require_entrypoints
from policyd.policy.policy_set import PolicySet

if TYPE_CHECKING:
    from opa_client.opa import OpaClient

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
MEMORY_BYTES = 2 * 1024 * 1024 * 1024  # that it may write to; the library needs 150 MiB
START_SECONDS = 10.0  # it starts in 0.1 s; a busy machine may take longer
MINIMUM_VERSION = (1, 4, 0)  # CVE-2025-46569
OLD_VERSION_REASON = "before, a path could inject Rego"
MAX_ASKED_SETS = 64  # question modules kept in the server: one for each set of rules asked, a handful in practice

_HOST = "127.0.0.1"
_QUESTIONS = "policyd_questions"
_AUTHORISATION = """package system.authz

default allow := false

allow if input.identity == {token}
"""
# The server has to die with policyd, also with `kill -9`: the kernel is told so, then this becomes OPA. Go reserves
# addresses by the gigabyte, so what counts is what may be written to.
_LAUNCH = (
    "import ctypes, os, resource, sys\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"  # PR_SET_PDEATHSIG, SIGKILL
    f"resource.setrlimit(resource.RLIMIT_DATA, ({MEMORY_BYTES}, {MEMORY_BYTES}))\n"
    "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    "os.getppid() == int(sys.argv[1]) or sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


class OpaEngine(Closing):
    """A `PolicyEngine` on an OPA server of its own, holding one policy set. A context manager."""

    def __init__(self, policy_set: PolicySet, opa: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """`opa` is the executable, an absolute path the operator vouches for. Raises `EngineError` if it is too old."""
        self._policy_set = policy_set
        self._opa = opa
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._ref = EngineRef(name="opa", version=require_version(opa), sha256=_sha256(opa))

    @property
    def ref(self) -> EngineRef:
        """Name, version and digest of the executable."""
        return self._ref

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        """Answer every entry point for the input `document` (JSON bytes); see `PolicyEngine`."""
        require_entrypoints(entrypoints, self._policy_set)
        parsed = json.loads(document)
        with self._lock:
            server = self._require_server()
            try:
                return server.ask(entrypoints, parsed)
            except EngineError:
                self._stop()
                if len(entrypoints) == 1:
                    raise
            return self._ask_each(entrypoints, parsed)

    def _ask_each(self, entrypoints: Sequence[str], document: object) -> dict[str, Answer]:
        """Ask one after the other what together gave no answer, so that the rule that keeps OPA is named."""
        deadline = time.monotonic() + 2 * self._timeout_seconds
        answers: dict[str, Answer] = {}
        try:
            for entrypoint in entrypoints:
                if time.monotonic() > deadline:
                    raise EngineError("OPA took too long", where="opa", fix="make the work of all rules smaller")
                answers |= self._require_server().ask([entrypoint], document)
        except EngineError:
            self._stop()
            raise
        return answers

    def _require_server(self) -> _Server:
        if self._server is None:
            self._server = _start(self._policy_set, self._opa, self._timeout_seconds)
        return self._server

    def close(self) -> None:
        """End the server. Asking again starts another."""
        with self._lock:
            self._stop()

    @property
    def process_id(self) -> int | None:
        """The server, where one is running."""
        return self._server.pid if self._server else None

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


def _start(policy_set: PolicySet, opa: Path, timeout_seconds: float) -> _Server:
    folder = Path(tempfile.mkdtemp(prefix="policyd-opa-"))  # 0700
    try:
        files = _write_modules(policy_set, folder)
        _require_capabilities(policy_set, files, folder / "modules", opa, timeout_seconds)
        server = _Server(opa, folder, timeout_seconds, files)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        server.hold(policy_set)
    except BaseException:
        server.stop()
        raise
    return server


class _Server:
    """One run of `opa run --server`, and the client that alone can talk to it."""

    def __init__(self, opa: Path, folder: Path, timeout_seconds: float, files: Mapping[str, str]) -> None:
        from opa_client.opa import OpaClient

        self._folder = folder
        self._files = files
        self._questions: dict[tuple[str, ...], str] = {}
        token = secrets.token_urlsafe(32)
        certificate, key = write_certificate(self._folder, _HOST)
        authorisation = self._folder / "authz.rego"
        authorisation.write_text(_AUTHORISATION.format(token=json.dumps(token)))
        port = _free_port()
        self._process = _launch(
            [
                str(opa),
                "run",
                "--server",
                f"--addr={_HOST}:{port}",
                "--authentication=token",
                "--authorization=basic",
                "--min-tls-version=1.3",
                f"--tls-cert-file={certificate}",
                f"--tls-private-key-file={key}",
                "--skip-version-check",
                "--log-level=error",
                "--shutdown-grace-period=0",
                str(authorisation),
                str(folder / "modules"),
            ],
            self._folder,
        )
        # An error answered with 500 is an answer: asking again would only cost its back-off.
        self._client: OpaClient = OpaClient(
            host=_HOST, port=port, ssl=str(certificate), token=token, retries=0, timeout=timeout_seconds
        )
        # Else variables of the caller could name a proxy, another CA bundle or a .netrc that replaces the token.
        self._client._session.trust_env = False
        self._wait_until_ready()

    @property
    def pid(self) -> int:
        return self._process.pid

    def hold(self, policy_set: PolicySet) -> None:
        """Give the server its settings and known facts, then read back everything it holds and compare."""
        data = policy_set.data[policy_set.prefix]
        for name, values in data.items():
            self._call(self._client.update_or_create_data, values, f"{policy_set.prefix}/{name}")

        wanted = {f"{number:04d}.rego": text for number, text in enumerate(policy_set.modules.values())}
        held = {}
        for name in self._call(self._client.get_policies_list):
            held[name.rpartition("/")[2]] = self._call(self._client.get_policy, name.lstrip("/"))["result"]["raw"]
        held.pop("authz.rego", None)
        held_data = {name: self._call(self._client.get_data, f"{policy_set.prefix}/{name}")["result"] for name in data}
        if held != wanted or held_data != data:
            raise EngineError(
                "the OPA server does not hold the policy set it was given",
                where="opa",
                fix="run it again, then report it",
            )

    def ask(self, entrypoints: Sequence[str], document: object) -> dict[str, Answer]:
        """Return the answers to `entrypoints` for `document`: one request, and one each where that fails."""
        if len(entrypoints) <= 1:
            return {entrypoint: self._data(entrypoint, document) for entrypoint in entrypoints}
        name = self._question(tuple(entrypoints))
        result = self._data(f"{_QUESTIONS}.{name}", document)
        if result.error is None and isinstance(result.value, dict):
            answers = result.value.get("answers")
            if isinstance(answers, dict) and answers.keys() == set(entrypoints):
                return {entrypoint: _answer(answers[entrypoint]) for entrypoint in entrypoints}
        # One failing rule fails the whole request: asked one by one, each answers for itself.
        return {entrypoint: self._data(entrypoint, document) for entrypoint in entrypoints}

    def stop(self) -> None:
        """End the server by its id, wait for it, and remove what it was given."""
        self._client.close_connection()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _question(self, entrypoints: tuple[str, ...]) -> str:
        """Return the name of the module that asks all `entrypoints`: a list of one value, or of none if undefined."""
        name = self._questions.get(entrypoints)
        if name is None:
            if len(self._questions) >= MAX_ASKED_SETS:
                raise EngineError("too many different sets of rules were asked", where="opa", fix="start again")
            name = f"q{len(self._questions)}"
            asked = ",\n".join(f"\t{json.dumps(each)}: [v | v := data.{each}]" for each in entrypoints)
            module = f"package {_QUESTIONS}.{name}\n\nanswers := {{\n{asked},\n}}\n"
            # rego_compat would rewrite what it uploads: the server would hold other bytes than were meant.
            self._call(self._client.update_policy_from_string, module, f"questions/{name}", rego_compat=False)
            self._questions[entrypoints] = name
        return name

    def _data(self, path: str, document: object) -> Answer:
        import requests

        try:
            # Without strict errors a failing builtin makes a rule undefined, and a broken `deny` passes in silence.
            body = self._client.query_rule(document, path, query_params={"strict-builtin-errors": "true"})
        except requests.HTTPError as error:
            return Answer(error=_with_own_paths(_describe(error.response), self._files))
        except requests.Timeout as error:
            raise EngineError(
                f"OPA took too long in {path}", where="opa", fix="make the rule's work smaller"
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise EngineError(
                f"OPA does not answer in {path}: {error}",
                where="opa",
                fix="if it was out of memory, make the rule's work smaller; else run it again",
            ) from error
        if not isinstance(body, dict):
            return Answer(error="the answer has no known shape")
        return Answer(value=body.get("result"))

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Call the client; whatever it raises is an `EngineError`."""
        import requests

        try:
            return function(*arguments, **options)
        except (requests.RequestException, ValueError, KeyError) as error:
            raise EngineError(f"OPA does not answer: {error}", where="opa", fix="run it again") from error
        except Exception as error:
            # The client's errors share no class of their own below Exception.
            raise EngineError(f"OPA refuses: {_client_error(error)}", where="opa", fix="correct the policy") from error

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._client.check_health():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = "" if self._process.stderr is None else _last_words(self._process)
                self.stop()
                raise EngineError(
                    f"OPA did not start{said}", where="opa", fix="see that this OPA runs here: `opa version`"
                )
            time.sleep(0.02)


def _launch(arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start OPA from a thread that lives as long as it: the death signal is tied to the thread that started it."""
    started: list[subprocess.Popen[bytes] | OSError] = []
    ready = threading.Event()

    def keep() -> None:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={"PATH": "/nonexistent", "HOME": str(folder), "GOMEMLIMIT": "512MiB"},
                cwd=folder,
            )
        except OSError as error:
            started.append(error)
            ready.set()
            return
        started.append(process)
        ready.set()
        process.wait()

    threading.Thread(target=keep, name="opa", daemon=True).start()
    ready.wait()
    process = started[0]
    if isinstance(process, OSError):
        raise EngineError(f"OPA can't be started: {process.strerror}", where=arguments[0], fix="see `policyd doctor`")
    return process


def _write_modules(policy_set: PolicySet, folder: Path) -> dict[str, str]:
    """Write the modules below `folder` under names of our own; return the module's path for each file."""
    (folder / "modules").mkdir(mode=0o700)
    files = {}
    for number, (path, text) in enumerate(policy_set.modules.items()):
        file = folder / "modules" / f"{number:04d}.rego"
        file.write_text(text, encoding="utf-8")
        files[str(file)] = path
    return files


def _require_capabilities(
    policy_set: PolicySet, files: Mapping[str, str], modules: Path, opa: Path, timeout_seconds: float
) -> None:
    """Raise `PolicyError` unless OPA compiles the policy set with the builtins that policies may call."""
    capabilities = library_folder() / "capabilities.json"
    code, output = run_opa(
        opa, ["check", "--format=json", f"--capabilities={capabilities}", str(modules)], timeout_seconds
    )
    if code == 0:
        return
    try:
        first = json.loads(output)["errors"][0]
        message, location = str(first["message"]), first.get("location", {})
        where = f"{files.get(str(location.get('file')), 'the policy set')}:{location.get('row', 0)}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        message, where = output.strip()[:500] or "no reason given", policy_set.name
    raise PolicyError(
        f"OPA does not compile the policy: {_with_own_paths(message, files)}",
        where=where,
        fix="correct the Rego there; policies may call only what policies/capabilities.json lists",
    )


def require_version(opa: Path) -> str:
    """Return the version of the executable `opa`; raises `EngineError` where it says none or is too old."""
    code, output = run_opa(opa, ["version"], START_SECONDS)
    found = re.search(r"^Version: ([0-9]+)\.([0-9]+)\.([0-9]+)\S*$", output, re.MULTILINE)
    if code != 0 or found is None:
        raise EngineError("this is no OPA that can say its version", where=str(opa), fix="name the real `opa`")
    version = tuple(int(part) for part in found.groups())
    if version < MINIMUM_VERSION:
        raise EngineError(
            f"OPA {'.'.join(map(str, version))} is too old",
            where=str(opa),
            fix=f"use {'.'.join(map(str, MINIMUM_VERSION))} or later: {OLD_VERSION_REASON}",
        )
    return ".".join(map(str, version))


def run_opa(opa: Path, arguments: list[str], timeout_seconds: float, *, stdin: bytes = b"") -> tuple[int, str]:
    """Run `opa` once, in an environment of its own and with its limit, and return its exit code and what it printed."""
    try:
        process = subprocess.Popen(
            [str(opa), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": "/nonexistent", "HOME": "/nonexistent", "GOMEMLIMIT": "512MiB"},
            cwd="/",
        )
    except OSError as error:
        raise EngineError(
            f"OPA can't be started: {error.strerror}", where=str(opa), fix="install it, or use the embedded engine"
        ) from error
    with process:
        _limit_memory(process.pid)
        try:
            output, _ = process.communicate(stdin, timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"`opa {arguments[0]}` took too long",
                where=str(opa),
                fix="see that this OPA runs here; if it does, make the policy simpler",
            ) from error
        finally:
            process.kill()  # nothing happens to one that has ended
    return process.returncode, output.decode("utf-8", "replace")


def _limit_memory(pid: int) -> None:
    """Give a process that has just been started its limit, where the system can (Linux)."""
    if hasattr(resource, "prlimit"):
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


def _answer(values: object) -> Answer:
    match values:
        case [value]:
            return Answer(value=value)
        case []:
            return Answer()
        case _:
            return Answer(error="the answer has no known shape")


def _describe(response: Any) -> str:
    """Return OPA's own words for an error it answered."""
    try:
        body = response.json()
        errors = [str(error.get("message")) for error in body.get("errors", [])]
        return "; ".join(errors) or str(body.get("message"))
    except (ValueError, AttributeError):
        return f"HTTP status {response.status_code}"


def _with_own_paths(text: str, files: Mapping[str, str]) -> str:
    """Return `text` with modules called as the policy set calls them, not by the random name they were written to."""
    for file, path in files.items():
        text = text.replace(file, path).replace(file.removeprefix("/"), path)
    return text


def _client_error(error: Exception) -> str:
    message = getattr(error, "message", None)
    return str(error) or (message if isinstance(message, str) else type(error).__name__)


def _last_words(process: subprocess.Popen[bytes]) -> str:
    process.kill()
    process.wait()
    assert process.stderr is not None
    text = process.stderr.read(2000).decode("utf-8", "replace").strip()
    return f": {text}" if text else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _free_port() -> int:
    """Return a port that was free a moment ago. Whoever takes it first has no certificate we would talk to."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
