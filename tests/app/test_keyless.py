"""Keyless signing: against an instance that really runs, and against ones that answer what they should not."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.x509 import ObjectIdentifier, OtherName
from cryptography.x509.oid import ExtendedKeyUsageOID

from policyd.adapters import clock
from policyd.adapters.signers.keyless import sign_digest, sign_statement
from policyd.app.keyless import Keyless, attest_file_keyless, find_keyless, sign_file_keyless, verify_made
from policyd.attestation.direct import ArtifactFile
from policyd.attestation.keyless.client_config import read_client_config
from policyd.attestation.keyless.token import read_identity_token
from policyd.errors import (
    IdentityNotTrusted,
    KeylessError,
    PolicydError,
    TokenUnusable,
    UsageError,
    VerificationFailed,
)
from tests.attestation.keyless.instance import (
    CONTENT,
    PREDICATE_TYPE,
    Certificates,
    Clock,
    LeafOptions,
    TransparencyLog,
    private_key,
    statement,
    utf8,
)
from tests.sigstore import EMAIL, WORKFLOW, Answer, LocalSigstore, as_json, serve
from tests.sigstore_stub import ISSUER, Stub, Value, open_stub

real = pytest.mark.xdist_group("sigstore")  # one instance is started


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with a file and something to say about it."""
    (tmp_path / "file").write_bytes(b"a release\n")
    (tmp_path / "predicate.json").write_text('{"result": "PASSED"}')
    return tmp_path


def who(instance: LocalSigstore | Stub, token: str | None = None, config: Value | None = None) -> Keyless:
    """Return who signs with an instance."""
    content = json.dumps(config or instance.trust_config()).encode()
    return Keyless(
        read_client_config(content, where="trust config"),
        read_identity_token(token or instance.token(), now=clock.now(), where="token"),
    )


def sign(desk: Path, keyless: Keyless) -> Path:
    """Sign the file."""
    return sign_file_keyless(desk / "file", keyless=keyless, bundle=desk / "bundle", now=clock.now).bundle


def attest(desk: Path, keyless: Keyless) -> Path:
    """Attest the file."""
    return attest_file_keyless(
        desk / "file",
        predicate_type="https://example.com/checked/v1",
        predicate=desk / "predicate.json",
        keyless=keyless,
        bundle=desk / "bundle",
        now=clock.now,
    ).bundle


@real
@pytest.mark.parametrize(
    ("kind", "name"),
    [("email", EMAIL), ("github", f"https://github.com/{WORKFLOW}")],
)
def test_a_real_instance_vouches_for_the_holder_of_the_token(
    sigstore: LocalSigstore, desk: Path, kind: str, name: str
) -> None:
    made = sign_file_keyless(
        desk / "file", keyless=who(sigstore, sigstore.token(kind)), bundle=desk / "bundle", now=clock.now
    )

    assert made.found.signer is not None
    assert made.found.signer.identity == name
    assert [source for _, source in made.found.times] == ["the timestamp authority https://tsa.example.com"]
    assert json.loads(made.bundle.read_bytes())["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"


@real
def test_sigstore_python_verifies_what_a_real_instance_helped_to_attest(sigstore: LocalSigstore, desk: Path) -> None:
    from sigstore.models import Bundle, TrustedRoot
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity
    from sigstore_models.trustroot.v1 import TrustedRoot as InnerRoot

    bundle = attest(desk, who(sigstore, sigstore.token("gitlab")))

    root = TrustedRoot(InnerRoot.from_json(json.dumps(sigstore.trust_config()["trustedRoot"])))
    identity = Identity(
        identity="https://gitlab.com/example/project//.gitlab-ci.yml@refs/heads/main",
        issuer=f"{sigstore.issuer}/gitlab",
    )
    kind, payload = Verifier(trusted_root=root).verify_dsse(Bundle.from_json(bundle.read_bytes()), identity)
    assert kind == "application/vnd.in-toto+json"
    assert json.loads(payload)["predicate"] == {"result": "PASSED"}


@real
def test_a_real_log_without_a_timestamp_is_not_enough(sigstore: LocalSigstore, desk: Path) -> None:
    with serve(lambda *_: as_json({}, 500)) as broken, pytest.raises(KeylessError, match="timestamp is missing"):
        sign(desk, who(sigstore, config=sigstore.trust_config(tsa=broken)))

    assert not (desk / "bundle").exists()


@real
def test_a_real_authority_refuses_a_token_by_nobody_it_knows(sigstore: LocalSigstore, desk: Path) -> None:
    with pytest.raises(KeylessError, match="answers 400"):
        sign(desk, who(sigstore, sigstore.token(iss="https://elsewhere.example.com")))

    assert not (desk / "bundle").exists()


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("make", [sign, attest])
def test_an_honest_instance_of_either_generation_is_taken(
    desk: Path, generation: int, make: Callable[[Path, Keyless], Path]
) -> None:
    """Rekor's first generation can't run here without its database: what it answers is made from its API."""
    with open_stub(Stub(generation=generation, stamping=generation == 2)) as stub:
        assert make(desk, who(stub)).exists()


def test_a_trusted_root_of_the_next_version_is_taken(desk: Path) -> None:
    with open_stub(Stub()) as stub:
        config = stub.trust_config()
        config["trustedRoot"]["mediaType"] = "application/vnd.dev.sigstore.trustedroot.v0.2+json"
        for service in (*config["trustedRoot"]["tlogs"], *config["trustedRoot"]["ctlogs"]):
            service["operator"] = "example"

        assert sign(desk, who(stub, config=config)).exists()


def _swap_entry(stub: Stub) -> None:
    """Answer with an earlier entry, which really is in the log, of the same signer."""
    with open_stub(stub):
        kept: list[Value] = []
        stub.logged = lambda entry: kept.append(entry) or entry  # type: ignore[func-returns-value]
        content = json.dumps(stub.trust_config()).encode()
        token = read_identity_token(stub.token(), now=clock.now(), where="token")
        sign_digest(bytes(32), token, read_client_config(content, where="trust config"))
    stub.logged = lambda _entry: kept[0]


def _other_clock(stub: Stub) -> None:
    other = Clock(name="other", start=stub.parts.clock.start, end=stub.parts.clock.end)
    stub.stamped = lambda _stamp: other.stamp(b"whatever", clock.now())


def _forget_proof(entry: Value) -> Value:
    return {name: value for name, value in entry.items() if name != "inclusionProof"}


def _issuer(options: LeafOptions) -> LeafOptions:
    return replace(options, issuer_v1=b"https://elsewhere.example.com")


def _two_names(options: LeafOptions) -> LeafOptions:
    return replace(options, names=(*options.names, *options.names))


def _for_servers(options: LeafOptions) -> LeafOptions:
    return replace(options, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))


def _ended(options: LeafOptions) -> LeafOptions:
    hour = timedelta(hours=1)
    return replace(options, valid_from=options.valid_from - hour, sct_at=options.sct_at - hour)


def _without_timestamp(options: LeafOptions) -> LeafOptions:
    return replace(options, timestamps=0)


def _set(name: str, value: object) -> Callable[[Stub], None]:
    return lambda stub: setattr(stub, name, value)


def _fail(part: str, status: int = 500) -> Callable[[Stub], None]:
    return lambda stub: stub.fails.update({part: as_json({}, status)})


HOSTILE: dict[str, tuple[Callable[[Stub], None], type[PolicydError], str]] = {
    "certificate-of-another": (_set("identity", "mallory@example.com"), IdentityNotTrusted, "mallory@example.com"),
    "certificate-by-another-provider": (_set("leaf", _issuer), IdentityNotTrusted, "elsewhere"),
    "certificate-with-two-names": (_set("leaf", _two_names), VerificationFailed, "2 names"),
    "certificate-for-servers": (_set("leaf", _for_servers), VerificationFailed, "not for signing code"),
    "certificate-that-ended": (_set("leaf", _ended), KeylessError, "has ended already"),
    "certificate-of-another-key": (_set("leaf_key", private_key("p256", "mallory")), VerificationFailed, "not signed"),
    "certificate-nobody-saw": (_set("leaf", _without_timestamp), KeylessError, "no pinned certificate log"),
    "authority-that-is-not-pinned": (
        _set("authority", Certificates(name="mallory")),
        KeylessError,
        "no pinned certificate log",
    ),
    "entry-of-another-bundle": (_swap_entry, VerificationFailed, "its signature is another"),
    "entry-of-another-log": (
        _set("log", TransparencyLog(host="other.example.com", generation=2, kind="ed25519")),
        VerificationFailed,
        "does not list",
    ),
    "entry-without-proof": (_set("logged", _forget_proof), KeylessError, "form it should"),
    "no-timestamp": (_fail("tsa"), KeylessError, "a timestamp is missing"),
    "timestamp-by-another": (_other_clock, VerificationFailed, "certificate verify error"),
    "timestamp-of-tomorrow": (_set("stamped_at", timedelta(days=1)), VerificationFailed, "after this machine's clock"),
    "timestamp-of-yesterday": (
        _set("stamped_at", -timedelta(hours=5)),
        VerificationFailed,
        "the signer's certificate is valid from",
    ),
    "no-authority": (_fail("fulcio", 503), KeylessError, "answers 503"),
    "no-log": (_fail("rekor"), KeylessError, "answers 500"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_an_instance_should_not_answer_is_refused_at_once(desk: Path, case: str) -> None:
    change, error, words = HOSTILE[case]
    stub = Stub()
    change(stub)

    with open_stub(stub), pytest.raises(error, match=words):
        sign(desk, who(stub))

    assert not (desk / "bundle").exists()


def test_without_a_timestamp_a_promise_is_not_enough_where_one_was_asked_for(desk: Path) -> None:
    stub = Stub(generation=1)
    stub.fails["tsa"] = as_json({}, 500)

    with open_stub(stub), pytest.raises(VerificationFailed, match="0 timestamps"):
        sign(desk, who(stub))

    assert not (desk / "bundle").exists()


def test_an_instance_that_never_answers_is_left() -> None:
    over = threading.Event()
    stub = Stub()
    stub.logged = lambda entry: entry if over.wait(60) else {}

    with open_stub(stub):
        keyless = who(stub)
        try:
            with pytest.raises(KeylessError, match="nothing came back within 2 seconds"):
                sign_digest(bytes(32), keyless.token, keyless.config, seconds=2)
        finally:
            over.set()


def test_no_message_repeats_the_token(desk: Path) -> None:
    stub = Stub()
    token = stub.token()
    stub.fails["fulcio"] = as_json({"message": f"I don't like {token}", "code": 3}, 400)

    with open_stub(stub), pytest.raises(KeylessError) as refused:
        sign(desk, who(stub, token))

    said = (
        f"{refused.value.cause} {refused.value.where} {refused.value.fix} {refused.value!r} {refused.value.__context__}"
    )
    assert not any(part in said for part in token.split("."))
    assert token not in repr(who(stub, token))


def test_the_token_goes_to_the_authority_alone(desk: Path) -> None:
    stub = Stub()
    token = stub.token()

    with open_stub(stub):
        sign(desk, who(stub, token))

    assert [path for path, _ in stub.asked] == ["/api/v2/signingCert", "/tsa", "/api/v2/log/entries"]
    assert not any(token.encode() in body for _, body in stub.asked)


def test_the_token_is_in_no_environment_and_no_list_of_processes(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub()
    token = stub.token()
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", token)
    honest, seen = stub.answer, []

    def answer(path: str, body: bytes) -> Answer:
        for process in Path("/proc").glob("[0-9]*"):
            # Processes end, and what belongs to others can't be read.
            with suppress(OSError):
                arguments = (process / "cmdline").read_bytes()
                if b"keyless_worker.py" in arguments and (process / "stat").read_text().split()[3] == str(os.getpid()):
                    seen.append(arguments)
                    seen.append((process / "environ").read_bytes())
        return honest(path, body)

    stub.answer = answer  # type: ignore[method-assign]
    with open_stub(stub):
        sign(desk, who(stub, token))

    assert seen
    assert not any(part.encode() in one for one in seen for part in token.split("."))


def test_the_token_is_not_led_elsewhere(desk: Path) -> None:
    stub, seen = Stub(), []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(dict(self.headers))
            self.send_response(500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Leading(Elsewhere):
        def do_POST(self) -> None:
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{elsewhere.server_address[1]}/{token}")
            self.end_headers()

    token = stub.token()
    address = ("127.0.0.1", 0)
    with (
        open_stub(stub),
        ThreadingHTTPServer(address, Elsewhere) as elsewhere,
        ThreadingHTTPServer(address, Leading) as leading,
    ):
        for server in (elsewhere, leading):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        config = stub.trust_config()
        config["signingConfig"]["caUrls"][0]["url"] = f"http://127.0.0.1:{leading.server_address[1]}"
        with pytest.raises(KeylessError) as refused:
            sign(desk, who(stub, token, config))
        for server in (elsewhere, leading):
            server.shutdown()

    assert len(seen) == 1
    assert "Authorization" not in seen[0]
    assert refused.value.cause == "there is no keyless signature: the service answers 500"


def test_what_was_made_is_what_was_to_be_signed(desk: Path) -> None:
    with open_stub(Stub()) as stub:
        keyless = who(stub)
        made = sign_statement(statement(), keyless.token, keyless.config)
    file = ArtifactFile("file", {"sha256": hashlib.sha256(CONTENT).digest()})

    def verify(meant: bytes | None, kind: str | None = PREDICATE_TYPE) -> object:
        return verify_made(made, keyless, file, statement=meant, predicate_type=kind, now=clock.now())

    assert verify(statement())
    for meant, kind in ((statement(predicate={"builder": "y"}), PREDICATE_TYPE), (None, PREDICATE_TYPE), (None, None)):
        with pytest.raises(VerificationFailed, match="not of what was to be signed"):
            verify(meant, kind)


def test_an_identity_that_the_token_does_not_say_can_be_named(desk: Path) -> None:
    stub = Stub(identity="build!example.com", leaf=lambda options: replace(options, names=(_other_name(),)))
    with open_stub(stub):
        keyless = who(stub, stub.token(email=None, sub="build"))
        with pytest.raises(IdentityNotTrusted, match="the token is of build"):
            sign(desk, keyless)

        sign(desk, replace(keyless, identity="build!example.com", issuer=ISSUER))


def test_nothing_is_logged_where_the_bundle_could_not_be_written(desk: Path) -> None:
    (desk / "bundle").write_text("here already")
    stub = Stub()

    with open_stub(stub), pytest.raises(UsageError, match="never overwrites"):
        sign(desk, who(stub))

    assert stub.asked == []


def test_a_file_that_is_an_attestations_encoding_is_not_signed(desk: Path) -> None:
    (desk / "file").write_bytes(b"DSSEv1 1 a 1 b")
    stub = Stub()

    with open_stub(stub), pytest.raises(UsageError, match="attestation"):
        sign(desk, who(stub))

    assert stub.asked == []


def test_a_trust_config_that_others_can_change_gets_no_token(desk: Path) -> None:
    stub = Stub()
    (desk / "config.json").write_text(json.dumps(stub.trust_config() if stub.url else {}))
    (desk / "config.json").chmod(0o666)
    (desk / "token").write_text(stub.token())

    with pytest.raises(PolicydError, match="writ"):
        find_keyless(desk / "config.json", identity_token=str(desk / "token"), now=clock.now)


def test_a_token_is_asked_of_nobody_outside_of_a_job(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    with open_stub(Stub()) as stub:
        (desk / "config.json").write_text(json.dumps(stub.trust_config()))

        with pytest.raises(TokenUnusable, match="no identity token"):
            find_keyless(desk / "config.json", now=clock.now)
        with pytest.raises(UsageError, match="none is asked by default"):
            find_keyless(None, now=clock.now)
        with pytest.raises(UsageError, match="one place"):
            find_keyless(desk / "config.json", identity_token="-", browser=True, now=clock.now)
        with pytest.raises(UsageError, match="no terminal"):
            find_keyless(desk / "config.json", browser=True, now=clock.now)


def _other_name() -> OtherName:
    return OtherName(ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), utf8(b"build!example.com"))
