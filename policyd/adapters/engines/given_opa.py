"""An OPA server that somebody else runs: policyd asks it, and uploads nothing.

Operator settings name its URL, and with that whom they trust to evaluate. What is checked is that it is an OPA that is
new enough, and that it holds the very policy set which a decision will name: every module is read back and compared by
digest, as are the values of settings, before the first question and again after each one. A server whose bundle
changed in between has not answered.

Its answers are read with a bound on bytes and on time in all: a server that says one byte a second is one that does not
answer. Redirects, proxies and credentials of the environment are not followed.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from policyd.adapters.closing import Closing
from policyd.adapters.engines.opa import MINIMUM_VERSION, OLD_VERSION_REASON
from policyd.adapters.strict_modes import read_safe_file, require_safe_file
from policyd.errors import EngineError, SettingsError
from policyd.models.decision import EngineRef
from policyd.models.settings import OpaServer
from policyd.policy.engine import Answer
from policyd.policy.entrypoints import require_entrypoints
from policyd.policy.policy_set import PolicySet

if TYPE_CHECKING:
    import requests

MAX_ANSWER_BYTES = 64 * 1024 * 1024  # the modules of the library, with their syntax trees, are 10 MB
MAX_TOKEN_BYTES = 16 * 1024

T = TypeVar("T")


class GivenOpaEngine(Closing):
    """A `PolicyEngine` on an OPA server that operator settings name. A context manager; usable from several threads."""

    def __init__(self, policy_set: PolicySet, server: OpaServer) -> None:
        """Read what is needed to reach `server`; it is not called before it is asked.

        Raises `SettingsError` where its URL, certificates or token can't be used.
        """
        self._policy_set = policy_set
        self._url = server.url.rstrip("/")
        self._timeout_seconds = float(server.timeout_seconds)
        self._lock = threading.Lock()
        self._version = "unknown"
        self._held = False  # the last time anybody looked
        self._ca_file = _safe_path(server.ca_file, "opa_server.ca_file")
        self._token = _read_token(server.token_file)
        if not _names_a_server(self._url):
            raise SettingsError(
                f"{server.url} is no URL of a server", where="opa_server.url", fix="write https://HOST:PORT"
            )

    @property
    def ref(self) -> EngineRef:
        """Its version and where it is."""
        return EngineRef(name="opa", version=f"{self._version} at {self._url}")

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        """Answer every entry point for the input `document` (JSON bytes); see `PolicyEngine`.

        Raises `EngineError` where the server does not answer, is no OPA or too old, or does not hold the policy set.
        """
        require_entrypoints(entrypoints, self._policy_set)
        deadline = time.monotonic() + self._timeout_seconds
        with self._lock:
            return _within(deadline, self._url, lambda: self._ask(entrypoints, document, deadline))

    def close(self) -> None:
        """Leave the server as it is: no connection outlives a question."""

    def _ask(self, entrypoints: Sequence[str], document: bytes, deadline: float) -> dict[str, Answer]:
        with _Server(self._url, self._ca_file, self._token, deadline) as server:
            # 1. An OPA, and one without the known hole.
            self._version = _require_version(server)
            # 2. It holds what the decision will name; the look after the question before was one at this as well.
            if not self._held:
                _require_held(server, self._policy_set)
            # 3. Each entry point for itself: asking them all at once would need a module of ours.
            content = b'{"input":%b}' % document
            answers = {entrypoint: server.evaluate(entrypoint, content) for entrypoint in entrypoints}
            # 4. It still holds it, so those were its answers.
            self._held = False
            _require_held(server, self._policy_set)
            self._held = True
        return answers


class _Server:
    """The calls to one server until `deadline`."""

    def __init__(self, url: str, ca_file: str | None, token: str | None, deadline: float) -> None:
        self.url = url
        self._deadline = deadline
        self._session = _make_session()
        # Else variables of the caller could name a proxy, another CA bundle or a .netrc that replaces the token.
        self._session.trust_env = False
        self._session.verify = ca_file or True
        self._session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def read(self, path: str) -> dict[str, Any]:
        """Return what is at `path` of the server's API; raises `EngineError`."""
        status, body = self._call("GET", path, None)
        if status != 200:
            raise self._refused(status, body)
        return body

    def evaluate(self, entrypoint: str, content: bytes) -> Answer:
        """Answer one entry point for `content`, an object with the input."""
        # Without strict errors a failing builtin makes a rule undefined, and a broken `deny` passes in silence.
        path = f"/v1/data/{entrypoint.replace('.', '/')}?strict-builtin-errors=true"
        status, body = self._call("POST", path, content)
        if status == 200:
            return Answer(value=body.get("result"))
        if status in (400, 500) and isinstance(errors := body.get("errors"), list) and errors:
            return Answer(error="; ".join(str(each.get("message")) for each in errors if isinstance(each, dict)))
        raise self._refused(status, body)

    def _call(self, method: str, path: str, content: bytes | None) -> tuple[int, dict[str, Any]]:
        import requests

        headers = {"Content-Type": "application/json"} if content is not None else {}
        left = max(0.01, self._deadline - time.monotonic())
        try:
            with self._session.request(
                method,
                f"{self.url}{path}",
                data=content,
                headers=headers,
                timeout=left,
                stream=True,
            ) as response:
                body = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=False)
        except requests.Timeout as error:
            raise _too_slow(self.url) from error
        except (requests.RequestException, OSError) as error:
            raise EngineError(
                f"the OPA server can't be reached: {_reason(error)}",
                where=self.url,
                fix="see that it runs, and that opa_server in the operator settings names it and its certificates",
            ) from error
        except Exception as error:
            # What urllib3 raises while the body is read shares no class with the above.
            raise EngineError(
                f"the OPA server's answer broke off: {_reason(error)}", where=self.url, fix="run it again"
            ) from error
        if len(body) > MAX_ANSWER_BYTES:
            raise EngineError("the OPA server's answer is too large", where=self.url, fix="see what it holds")
        return response.status_code, self._read(response, body)

    def _read(self, response: requests.Response, body: bytes) -> dict[str, Any]:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            kind = response.headers.get("Content-Type", "nothing it has a name for").partition(";")[0][:60]
            raise EngineError(
                f"what answers there is no OPA: status {response.status_code}, {kind}",
                where=self.url,
                fix="write the address of the OPA server itself to opa_server.url, not of a page or proxy before it",
            )
        return value

    def _refused(self, status: int, body: Mapping[str, object]) -> EngineError:
        fix = "see that opa_server.token_file holds a token that may read policies and ask for data"
        return EngineError(
            f"the OPA server refuses: status {status}, {str(body.get('message', 'no reason given'))[:300]}",
            where=self.url,
            fix=fix if status in (401, 403) else "see the server's log",
        )


def _make_session() -> requests.Session:
    import requests

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> str | None:
            """Know of no redirect: even where none is followed, requests would read its body whole."""
            return None

    return Session()


def _require_version(server: _Server) -> str:
    """Return the server's version; raises `EngineError` where it says none or is too old."""
    provenance = server.read("/v1/data/policyd_nothing?provenance=true").get("provenance")
    text = str(provenance.get("version")) if isinstance(provenance, dict) else ""
    parts = text.partition("-")[0].split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts):
        raise EngineError(
            "what answers there does not say which OPA it is", where=server.url, fix="use an OPA server of a release"
        )
    if tuple(map(int, parts)) < MINIMUM_VERSION:
        raise EngineError(
            f"OPA {text} is too old",
            where=server.url,
            fix=f"use {'.'.join(map(str, MINIMUM_VERSION))} or later: {OLD_VERSION_REASON}",
        )
    return text


def _require_held(server: _Server, policy_set: PolicySet) -> None:
    """Raise `EngineError` unless the server holds exactly `policy_set` below its prefix, with its settings."""
    # 1. Modules. Those of other packages can have no say: a policy set reads only what is below its own prefix.
    wanted = Counter({_sha256(text): 0 for text in policy_set.tests.values()})
    wanted.update(_sha256(text) for text in policy_set.modules.values())
    held: Counter[str] = Counter()
    listed = server.read("/v1/policies").get("result")
    for policy in listed if isinstance(listed, list) else []:
        if not _is_foreign(policy, policy_set.prefix):
            held[_sha256(str(policy.get("raw")))] += 1
    names = {_sha256(text): path for path, text in {**policy_set.tests, **policy_set.modules}.items()}
    if missing := [names[digest] for digest, count in wanted.items() if held[digest] < count]:
        more = f", nor {len(missing) - 1} more" if missing[1:] else ""
        raise _holds_another(server, f"it does not hold {missing[0]} as it is here{more}")
    if others := [digest for digest in held if digest not in wanted or held[digest] > max(1, wanted[digest])]:
        raise _holds_another(server, f"it holds {len(others)} more modules below `{policy_set.prefix}`")
    # 2. Data: what rules read there are the values of their settings and known facts, nothing else among them.
    for name in ("settings", "known"):
        values = policy_set.data[policy_set.prefix].get(name, {})
        data = server.read(f"/v1/data/{policy_set.prefix}/{name}").get("result", {})
        if json.dumps(data, sort_keys=True) != json.dumps(values, sort_keys=True):
            raise _holds_another(server, f"its data below `{policy_set.prefix}.{name}` differs")


def _is_foreign(policy: object, prefix: str) -> bool:
    """Say whether a module is of a package beside `prefix`. One that does not say its package is not."""
    if not isinstance(policy, dict):
        return False
    try:
        steps = [step["value"] for step in policy["ast"]["package"]["path"]]
    except (KeyError, TypeError):
        return False
    return len(steps) > 1 and all(isinstance(step, str) for step in steps) and steps[1] != prefix


def _holds_another(server: _Server, how: str) -> EngineError:
    return EngineError(
        f"the OPA server holds another policy set than the one asked for: {how}",
        where=server.url,
        fix="load this policy set into it (`policyd policy bundle` makes what it can load): policyd uploads nothing",
    )


def _within(deadline: float, url: str, work: Callable[[], T]) -> T:
    """Return what `work` returns or raise what it raises, until `deadline`; later, raise that it takes too long.

    Limits on each read of a socket add up to no limit where a server says one byte at a time.
    """
    found: list[T] = []
    raised: list[Exception] = []

    def do() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001  # raised again in the thread that waits
            raised.append(error)

    thread = threading.Thread(target=do, name="opa-server", daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()) + 0.5)
    if raised:
        raise raised[0]
    if not found:
        raise _too_slow(url)
    return found[0]


def _too_slow(url: str) -> EngineError:
    return EngineError(
        "the OPA server took too long",
        where=url,
        fix="see how busy it is, or raise opa_server.timeout_seconds; nothing is allowed until it answers",
    )


def _names_a_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _safe_path(path: str | None, field: str) -> str | None:
    if path is None:
        return None
    if not Path(path).is_absolute():
        raise SettingsError(f"{field} must be an absolute path", where=path, fix="give the full path")
    return str(require_safe_file(Path(path)))


def _read_token(path: str | None) -> str | None:
    found = _safe_path(path, "opa_server.token_file")
    if found is None:
        return None
    token = read_safe_file(Path(found), max_bytes=MAX_TOKEN_BYTES).decode("latin-1").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise SettingsError("the token can't be sent", where=found, fix="write one line of printable ASCII to it")
    return token


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _reason(error: BaseException) -> str:
    """Return the innermost reason that says something, on one line."""
    while (inner := getattr(error, "reason", None) or (error.args[0] if error.args else None)) is not None:
        if not isinstance(inner, BaseException):
            break
        error = inner
    return " ".join(str(error).split())[:300] or type(error).__name__
