"""`policyd sign --keyless` and `policyd attest --keyless`: where the identity comes from, and what is said."""

from __future__ import annotations

import json
import os
import pty
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.adapters.engines.servers import open_stub as open_https
from tests.adapters.engines.servers import say
from tests.cli.workshop import Workshop, command
from tests.sigstore import EMAIL, Answer, LocalSigstore, as_json
from tests.sigstore_stub import ISSUER, Stub, open_stub

pytestmark = pytest.mark.xdist_group("cli-keyless")
KEYLESS = ["--keyless", "--trust-config", "config.json"]


@pytest.fixture
def stub() -> Iterator[Stub]:
    """An honest instance in memory."""
    with open_stub(Stub()) as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path, stub: Stub) -> Path:
    """A folder with a file, what is said of it, a token and the trust config."""
    (tmp_path / "file").write_bytes(b"hello\n")
    (tmp_path / "predicate.json").write_text('{"result": "PASSED"}')
    (tmp_path / "token").write_text(stub.token())
    (tmp_path / "config.json").write_text(json.dumps(stub.trust_config()))
    return tmp_path


def sign(*options: object, bundle: str = "b.json") -> list[object]:
    return ["sign", "file", "--bundle", bundle, *options]


def attest(*options: object, bundle: str = "b.json") -> list[object]:
    kind = ["--predicate-type", "https://example.com/checked/v1", "--predicate", "predicate.json"]
    return ["attest", "file", *kind, "--bundle", bundle, *options]


@pytest.mark.xdist_group("sigstore")  # one instance is started
def test_what_a_real_instance_helped_to_sign_verifies(
    shop: Workshop, desk: Path, sigstore: LocalSigstore, cosign: Path
) -> None:
    config = sigstore.trust_config()
    (desk / "config.json").write_text(json.dumps(config))
    (desk / "root.json").write_text(json.dumps(config["trustedRoot"]))
    (desk / "token").write_text(sigstore.token())

    said = shop.call(*sign(*KEYLESS, "--identity-token", "token"), cwd=desk).require(0)

    who = ["--cert-identity", EMAIL, "--cert-oidc-issuer", f"{sigstore.issuer}/email"]
    for words in (EMAIL, f"{sigstore.issuer}/email", "b.json", "log       entry", "says the timestamp authority"):
        assert words in said.out
    shop.call("verify", "file", "--bundle", "b.json", "--trusted-root", "root.json", *who, cwd=desk).require(0)
    subprocess.run(
        [
            *(cosign, "verify-blob", "file", "--bundle", "b.json", "--trusted-root", "root.json"),
            *("--certificate-identity", EMAIL, "--certificate-oidc-issuer", f"{sigstore.issuer}/email"),
        ],
        cwd=desk,
        check=True,
        capture_output=True,
        timeout=60,
    )


def test_an_attestation_says_its_type_and_signer(shop: Workshop, desk: Path) -> None:
    said = shop.call(*attest(*KEYLESS, "--identity-token", "token"), cwd=desk).require(0)

    for words in ("attested  file sha256:", "https://example.com/checked/v1", EMAIL, ISSUER):
        assert words in said.out


def test_a_token_comes_from_stdin(shop: Workshop, desk: Path) -> None:
    done = subprocess.run(
        [*command(), *map(str, sign(*KEYLESS, "--identity-token", "-"))],
        cwd=desk,
        env=shop.environ(),
        input=(desk / "token").read_bytes(),
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_a_token_is_no_argument(shop: Workshop, desk: Path, stub: Stub) -> None:
    token = stub.token()

    said = shop.call(*sign(*KEYLESS, "--identity-token", token), cwd=desk)

    said.require_one_error(2, "other users can read", "--identity-token")
    assert token.split(".")[1] not in said.out + said.err
    assert stub.asked == []


def test_a_gitlab_job_signs_as_itself(shop: Workshop, desk: Path, stub: Stub) -> None:
    job = {"GITLAB_CI": "true", "GITHUB_ACTIONS": None}

    shop.call(*sign(*KEYLESS), cwd=desk, env=job).require_one_error(2, "no identity token", "SIGSTORE_ID_TOKEN")
    shop.call(*sign(*KEYLESS), cwd=desk, env={**job, "SIGSTORE_ID_TOKEN": stub.token()}).require(0)


def test_a_github_job_signs_as_itself(shop: Workshop, desk: Path, stub: Stub) -> None:
    job: dict[str, str | None] = {"GITHUB_ACTIONS": "true"}
    shop.call(*sign(*KEYLESS), cwd=desk, env=job).require_one_error(2, "id-token: write")
    job["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "may-ask"
    job["ACTIONS_ID_TOKEN_REQUEST_URL"] = "http://127.0.0.1:1/?a=b"
    shop.call(*sign(*KEYLESS), cwd=desk, env=job).require_one_error(2, "no https")
    asked: list[bytes] = []

    def answer(request: bytes, channel: ssl.SSLSocket) -> None:
        asked.append(request)
        channel.sendall(say("200 OK", json.dumps({"value": stub.token()}).encode()))

    with open_https(answer) as github:
        job |= {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/?a=b", "SSL_CERT_FILE": str(github.ca_file)}
        shop.policyd(*sign(*KEYLESS), cwd=desk, env=job).require(0)

    assert b"audience=sigstore" in asked[0]
    assert b"may-ask" in asked[0]


def test_github_gives_no_token(shop: Workshop, desk: Path) -> None:
    with open_https(lambda _, channel: channel.sendall(say("403 Forbidden", b"may-ask, but not get"))) as github:
        job = {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "may-ask",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/?a=b",
            "SSL_CERT_FILE": str(github.ca_file),
        }
        said = shop.policyd(*sign(*KEYLESS), cwd=desk, env=job)

    said.require_one_error(3, "GitHub gives no identity token")
    assert "may-ask" not in said.out + said.err


def test_an_ended_token_is_said(shop: Workshop, desk: Path, stub: Stub) -> None:
    (desk / "token").write_text(stub.token(exp=1))

    said = shop.call(*sign(*KEYLESS, "--identity-token", "token"), cwd=desk)

    said.require_one_error(2, "ended at 1970-01-01", "get a new token")
    assert not (desk / "b.json").exists()


def test_a_certificate_of_another_is_refused(shop: Workshop, desk: Path, stub: Stub) -> None:
    stub.identity = "mallory@example.com"

    for made in (sign, attest):
        said = shop.call(*made(*KEYLESS, "--identity-token", "token"), cwd=desk)
        said.require_one_error(1, "mallory@example.com", EMAIL)
    assert not (desk / "b.json").exists()


def test_an_instance_that_is_not_there_is_said(shop: Workshop, desk: Path, stub: Stub) -> None:
    config = (desk / "config.json").read_text().replace(stub.url, "http://127.0.0.1:1")
    (desk / "config.json").write_text(config)

    said = shop.call(*sign(*KEYLESS, "--identity-token", "token"), cwd=desk)

    said.require_one_error(3, "http://127.0.0.1:1 can't be reached")


def test_a_key_or_keyless_and_not_both(shop: Workshop, desk: Path, stub: Stub) -> None:
    for made in (sign, attest):
        shop.call(*made(), cwd=desk).require_one_error(2, "one of the two", "--keyless")
        shop.call(*made("--key", "k", "--keyless"), cwd=desk).require_one_error(2, "one of the two")
        shop.call(*made("--key", "k", "--identity-token", "token"), cwd=desk).require_one_error(2, "--identity-token")
        shop.call(*made("--keyless"), cwd=desk).require_one_error(2, "no Sigstore instance is named")
        stamped = made(*KEYLESS, "--timestamp-url", "https://tsa.example.com")
        shop.call(*stamped, cwd=desk).require_one_error(2, "--timestamp-url")
        shop.call(*made(*KEYLESS, "--browser"), cwd=desk).require_one_error(2, "no terminal")
    assert stub.asked == []


def test_the_instance_may_be_named_by_the_environment(shop: Workshop, desk: Path) -> None:
    environment = {
        "POLICYD_TRUST_CONFIG": str(desk / "config.json"),
        "POLICYD_TIMESTAMP_URL": "https://tsa.example.com",
    }

    shop.call(*sign("--keyless", "--identity-token", "token"), cwd=desk, env=environment).require(0)


def test_a_person_logs_in_at_a_browser(shop: Workshop, desk: Path, stub: Stub) -> None:
    """Without a browser to start, sigstore asks for the code that the provider shows."""
    honest = stub.answer

    def answer(path: str, body: bytes) -> Answer:
        if path == "/.well-known/openid-configuration":
            return as_json({"authorization_endpoint": f"{stub.url}/auth", "token_endpoint": f"{stub.url}/token"})
        if path == "/token":
            asked.append(body)
            return as_json({"access_token": stub.token()})
        return honest(path, body)

    asked: list[bytes] = []
    stub.answer = answer  # type: ignore[method-assign]
    config = stub.trust_config()
    config["signingConfig"]["oidcUrls"] = [config["signingConfig"]["caUrls"][0]]
    (desk / "config.json").write_text(json.dumps(config))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*command(), *map(str, sign(*KEYLESS, "--browser"))],
        cwd=desk,
        env=shop.environ({"BROWSER": "/bin/false"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the terminal closes with the process
        while part := os.read(ours, 4096):
            said += part
            if b"verification code: " in said and not asked:
                os.write(ours, b"the-code\n")
                asked.append(b"")
    os.close(ours)

    assert process.wait(60) == 0, said
    assert b"code=the-code" in asked[-1]
    assert (desk / "b.json").exists()
