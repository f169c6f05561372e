"""An OPA server that operator settings name: what it must hold, and everything else that may answer there."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policyd.adapters.engines import given_opa
from policyd.adapters.engines.given_opa import GivenOpaEngine
from policyd.errors import EngineError, PolicyError, SettingsError
from policyd.models.settings import OpaServer
from policyd.policy.policy_set import PolicySet
from tests.adapters.engines.servers import Reachable, open_opa_server, open_stub, say

MakeSet = Callable[..., PolicySet]

FOUND = 'deny contains {"message": "m", "at": []} if input.x == 1\n'
RED = "policyd.a.red.deny"
SETTINGS = "data.json"


def held(policy_set: PolicySet) -> dict[str, str]:
    return {**policy_set.modules, SETTINGS: json.dumps(policy_set.data)}


@pytest.fixture
def ours(make_set: MakeSet) -> PolicySet:
    return make_set(red=FOUND)


@pytest.fixture
def server(ours: PolicySet, opa: Path) -> Iterator[Reachable]:
    with open_opa_server(opa, held(ours)) as reachable:
        yield reachable


def require_error(policy_set: PolicySet, settings: OpaServer, words: str) -> EngineError:
    with GivenOpaEngine(policy_set, settings) as engine, pytest.raises(EngineError, match=words) as raised:
        engine.query([RED], b'{"x": 2}')
    assert raised.value.where == settings.url
    return raised.value


def test_it_answers_and_is_named_with_version_and_url(ours: PolicySet, server: Reachable) -> None:
    with GivenOpaEngine(ours, server.settings()) as engine:
        for x, count in ((1, 1), (2, 0), (1, 1)):
            found = engine.query([RED], b'{"x": %d}' % x)[RED].value
            assert isinstance(found, list)
            assert len(found) == count

        assert engine.ref.name == "opa"
        assert engine.ref.version.endswith(f" at {server.url}")


def test_a_rule_that_fails_is_an_error_and_one_that_is_not_there_is_no_pass(make_set: MakeSet, opa: Path) -> None:
    broken = 'deny contains {"message": "m", "at": []} if input.x / input.zero == 1\n'
    policy_set = make_set(red=FOUND, broken=broken, none="dney contains 1 if input.x\n")
    with open_opa_server(opa, held(policy_set)) as server, GivenOpaEngine(policy_set, server.settings()) as engine:
        answers = engine.query([RED, "policyd.a.broken.deny", "policyd.a.none.deny"], b'{"x": 1, "zero": 0}')

        assert answers[RED].value == [{"message": "m", "at": []}]
        assert "divi" in str(answers["policyd.a.broken.deny"].error)
        assert answers["policyd.a.none.deny"].value is None
        with pytest.raises(PolicyError, match="nothing to ask"):
            engine.query(["system.authz.allow"], b"{}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a/red.rego": None}, "does not hold a/red.rego"),
        ({"a/red.rego": "input.x == 3"}, "does not hold a/red.rego"),
        ({"more.rego": "package policyd.a.red\n\ndeny contains 1 if input.x == 9\n"}, "1 more modules"),
        ({"more.rego": "package policyd.other\n\nx := 1\n"}, "1 more modules"),
        ({SETTINGS: '{"policyd": {"settings": {"a": {"red": {"x": 1}}}}}'}, "settings` differs"),
        ({SETTINGS: '{"policyd": {"known": {"names": ["x"]}}}'}, "known` differs"),
    ],
    ids=["missing", "changed", "more in a rule's package", "more below the prefix", "other settings", "known facts"],
)
def test_another_policy_set_is_not_asked(ours: PolicySet, opa: Path, change: dict[str, str | None], words: str) -> None:
    files = held(ours)
    for path, text in change.items():
        if text is None:
            del files[path]
        else:
            files[path] = files[path].replace("input.x == 1", text) if path == "a/red.rego" else text

    with open_opa_server(opa, files) as server:
        require_error(ours, server.settings(), f"holds another policy set .*{words}")


def test_policies_of_others_beside_ours_have_no_say(ours: PolicySet, opa: Path) -> None:
    files = {**held(ours), "theirs.rego": "package theirs.policyd\n\ndeny := 1\n"}
    with open_opa_server(opa, files) as server, GivenOpaEngine(ours, server.settings()) as engine:
        assert engine.query([RED], b'{"x": 2}')[RED].value == []


def test_a_set_that_is_changed_while_it_is_asked_has_not_answered(
    ours: PolicySet, server: Reachable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's own bundle may change at any time; here it does between the answer and the second look."""
    import requests

    evaluate = given_opa._Server.evaluate

    def evaluate_and_change(self: given_opa._Server, entrypoint: str, content: bytes) -> object:
        answer = evaluate(self, entrypoint, content)
        module = ours.modules["a/red.rego"].replace("input.x == 1", "input.x == 2")
        listed = requests.get(f"{server.url}/v1/policies", verify=str(server.ca_file), timeout=30).json()["result"]
        url = f"{server.url}/v1/policies/{listed[0]['id'].lstrip('/')}"
        requests.put(url, data=module, verify=str(server.ca_file), timeout=30).raise_for_status()
        return answer

    monkeypatch.setattr(given_opa._Server, "evaluate", evaluate_and_change)

    require_error(ours, server.settings(), "holds another policy set")


def test_a_server_that_is_down_is_an_error_and_works_again_when_it_is_back(ours: PolicySet, opa: Path) -> None:
    with open_opa_server(opa, held(ours)) as server, GivenOpaEngine(ours, server.settings()) as engine:
        assert engine.query([RED], b'{"x": 2}')[RED].value == []
        server.stop()

        for _ in range(2):
            with pytest.raises(EngineError, match="can't be reached"):
                engine.query([RED], b'{"x": 2}')


def test_a_token_is_sent_where_the_server_wants_one(ours: PolicySet, opa: Path, tmp_path: Path) -> None:
    authorisation = 'package system.authz\n\ndefault allow := false\n\nallow if input.identity == "open-sesame"\n'
    token, wrong = tmp_path / "token", tmp_path / "wrong"
    token.write_text("open-sesame\n")
    wrong.write_text("closed\n")
    files = {**held(ours), "authz.rego": authorisation}
    with open_opa_server(opa, files, "--authentication=token", "--authorization=basic") as server:
        with GivenOpaEngine(ours, server.settings(token_file=token)) as engine:
            assert engine.query([RED], b'{"x": 1}')[RED].value
        require_error(ours, server.settings(token_file=wrong), "refuses: status 401")
        require_error(ours, server.settings(), "refuses: status 401")


def test_another_certificate_is_not_believed(ours: PolicySet, server: Reachable, tmp_path: Path) -> None:
    from policyd.adapters.engines.loopback_tls import write_certificate

    certificate, _ = write_certificate(tmp_path, "127.0.0.1")

    require_error(ours, OpaServer(url=server.url, ca_file=str(certificate)), "can't be reached: .*certificate")
    require_error(ours, OpaServer(url=server.url), "can't be reached: .*certificate")


def answering(content: bytes) -> Callable[[bytes, ssl.SSLSocket], None]:
    return lambda asked, connection: connection.sendall(content)


def never(asked: bytes, connection: ssl.SSLSocket) -> None:
    connection.recv(1)  # until whoever asks gives up


def dripping(asked: bytes, connection: ssl.SSLSocket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    waiting = threading.Event()
    while not waiting.wait(0.2):
        connection.sendall(b" ")


def endless(asked: bytes, connection: ssl.SSLSocket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * (1 << 20))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answering(say("200 OK", b"<html>Sign in</html>", kind="text/html")), "no OPA: status 200, text/html"),
        (answering(say("502 Bad Gateway", b"<html>Oops</html>", kind="text/html")), "no OPA: status 502, text/html"),
        (answering(say("302 Found", b"", "Location: http://127.0.0.1:9/")), "no OPA: status 302"),
        (answering(say("302 Found", b"{}", "Location: http://127.0.0.1:9/")), "refuses: status 302"),
        (answering(say("200 OK", b'{"result": []}')), "does not say which OPA it is"),
        (answering(say("200 OK", b'{"provenance": {"version": "1.3.0"}}')), r"OPA 1\.3\.0 is too old"),
        (answering(say("200 OK", b'{"provenance": {"version": "0.70.0"}}')), r"OPA 0\.70\.0 is too old"),
        (answering(say("200 OK", b'{"provenance": {"version": "1.4.x"}}')), "does not say which OPA it is"),
        (answering(say("200 OK", b"[" * 100_000)), "no OPA: status 200"),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n"), "can't be reached"),
        (answering(b""), "can't be reached"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"), "broke off|no OPA"),
        (never, "took too long"),
        (dripping, "took too long"),
    ],
    ids=[
        *("a page", "a gateway", "a redirect", "a redirect with JSON", "no version", "1.3.0", "0.70.0", "1.4.x"),
        *("brackets", "SSH", "nothing", "half an answer", "silence", "a byte a time"),
    ],
)
def test_what_is_no_opa_is_an_error(
    ours: PolicySet, answer: Callable[[bytes, ssl.SSLSocket], None], words: str
) -> None:
    with open_stub(answer) as stub:
        require_error(ours, stub.settings(timeout_seconds=1 if answer in (never, dripping) else 30), words)


def test_an_answer_without_end_is_not_kept(ours: PolicySet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_opa, "MAX_ANSWER_BYTES", 4 << 20)
    with open_stub(endless) as stub:
        require_error(ours, stub.settings(), "too large")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8181",
        "https://user:word@opa.example",
        "https://opa.example/v1",
        "https://opa.example?x=1",
        "file:///etc/passwd",
        "https://",
        "opa.example",
    ],
)
def test_only_an_https_url_of_a_server_will_do(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        OpaServer(url=url)


@pytest.mark.parametrize("url", ["https://:443", "https://opa.example:99999", "https://[", "https://a:b"])
def test_a_url_without_a_server_is_an_error_of_the_settings(ours: PolicySet, url: str) -> None:
    with pytest.raises(SettingsError):
        GivenOpaEngine(ours, OpaServer(url=url))


def test_files_that_others_can_write_are_not_believed(ours: PolicySet, server: Reachable, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    token.chmod(0o666)

    with pytest.raises(SettingsError):
        GivenOpaEngine(ours, server.settings(token_file=token))
    with pytest.raises(SettingsError):
        GivenOpaEngine(ours, OpaServer(url=server.url, ca_file=str(tmp_path / "none")))
    with pytest.raises(SettingsError):
        GivenOpaEngine(ours, OpaServer(url=server.url, ca_file="relative.pem"))


def test_a_proxy_or_authority_of_the_caller_changes_nothing(
    ours: PolicySet, server: Reachable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("default login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / ".netrc"))

    with GivenOpaEngine(ours, server.settings()) as engine:
        assert engine.query([RED], b'{"x": 1}')[RED].value
