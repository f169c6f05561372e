"""`.signatures.json`: OPA's own signature, made and checked here, and compared with the real OPA's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from policyd.attestation.keys import KeyKind
from policyd.errors import IdentityNotTrusted, SignatureInvalid, VerificationFailed
from policyd.models.trust import Role, TrustPolicy
from policyd.policy.bundle_archive import write_archive
from policyd.policy.bundle_files import DATA, MANIFEST, SIGNATURES
from policyd.policy.bundle_signatures import render_signatures, verify_signatures
from tests.attestation.made_keys import KINDS
from tests.attestation.made_keys import signer as signer_of
from tests.attestation.made_run import NOW, ed25519_key, key, trusted
from tests.policy.made_bundle import FOLDER, SETTINGS, author_trust, signed_files, unsigned_files

ODD = {**FOLDER, "settings/naming.json": SETTINGS.encode()}


def verify(files: dict[str, bytes], trust: TrustPolicy | None = None) -> None:
    verify_signatures(files, trust or author_trust(), now=NOW, where="bundle")


def token_of(files: dict[str, bytes]) -> list[str]:
    token: str = json.loads(files[SIGNATURES])["signatures"][0]
    return token.split(".")


def encode(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=="))


def with_token(files: dict[str, bytes], *parts: str) -> dict[str, bytes]:
    return {**files, SIGNATURES: json.dumps({"signatures": [".".join(parts)]}).encode()}


def resigned(files: dict[str, bytes], header: object, payload: object) -> dict[str, bytes]:
    """Return `files` with a token that an author's key really signed."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    signed = f"{encode(header)}.{encode(payload)}"
    r, s = decode_dss_signature(key("author").sign(signed.encode()))
    return with_token(files, signed, encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_signed_verifies(kind: KeyKind) -> None:
    signer = signer_of(kind)
    verify(signed_files(unsigned_files(), signer), author_trust(trusted(signer, "ann@example.com")))


def test_every_file_is_listed_with_its_hash() -> None:
    files = unsigned_files()

    payload = decode(token_of(signed_files(files))[1])

    assert payload.keys() == {"files"}
    assert [entry["name"] for entry in payload["files"]] == sorted(files)
    by_name = {entry["name"]: entry for entry in payload["files"]}
    for name, content in files.items():
        assert by_name[name]["algorithm"] == "SHA-256"
        assert by_name[name]["hash"] == hashlib.sha256(content).hexdigest()


def test_opa_hashes_the_same(opa: Path, tmp_path: Path) -> None:
    """`opa sign` over the same files, with text in the data that could be escaped in more than one way."""
    files = unsigned_files(ODD)
    for path, content in files.items():
        (tmp_path / "bundle" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bundle" / path).write_bytes(content)
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    command = [str(opa), "sign", "--signing-key", str(tmp_path / "key.pem"), "--signing-alg", "ES256", "--bundle", "."]
    subprocess.run([*command, "-o", str(tmp_path)], cwd=tmp_path / "bundle", check=True, capture_output=True)

    theirs = decode(token_of({SIGNATURES: (tmp_path / SIGNATURES).read_bytes()})[1])["files"]
    ours = decode(token_of(signed_files(files))[1])["files"]

    assert "<&>" in files[DATA].decode()
    assert sorted(theirs, key=lambda entry: str(entry["name"])) == ours


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    list(zip(KINDS, ["ES256", "ES384", "ES512", "EdDSA", "RS256"], strict=True)),
    ids=KINDS,
)
def test_opa_accepts_it(opa: Path, tmp_path: Path, kind: KeyKind, algorithm: str) -> None:
    signer = signer_of(kind)
    content = write_archive(signed_files(unsigned_files(ODD), signer), where="bundle")
    (tmp_path / "bundle.tar.gz").write_bytes(content)
    (tmp_path / "author.pub").write_text(signer.public_key_pem)
    (tmp_path / "other.pub").write_text(key("other").public_key_pem)

    def accepts(public_key: str) -> bool:
        given = ["--verification-key", str(tmp_path / public_key), "--signing-alg", algorithm]
        command = [str(opa), "build", "--bundle", "bundle.tar.gz", *given, "--output", "built.tar.gz"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0

    assert accepts("author.pub")
    assert not accepts("other.pub")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f | {"lib/naming.rego": f["lib/naming.rego"] + b" "}, "'lib/naming.rego' is not as it was signed"),
        (lambda f: f | {DATA: f[DATA].replace(b"20", b"21")}, "'data.json' is not as it was signed"),
        (lambda f: f | {DATA: f[DATA].replace(b"20", b"2e1")}, "'data.json' is not as it was signed"),
        (lambda f: f | {MANIFEST: f[MANIFEST].replace(b'"version":1', b'"version":2')}, "'.manifest' is not"),
        (lambda f: f | {"collections/baseline.json": b"[]"}, "'collections/baseline.json' is not as it was signed"),
        (lambda f: f | {"lib/more.rego": b"package policyd.lib.more\n"}, "'lib/more.rego' is there and not signed"),
        (lambda f: {path: f[path] for path in f if path != DATA}, "'data.json' is signed and not there"),
    ],
)
def test_a_file_changed_added_or_removed_is_found(
    change: Callable[[dict[str, bytes]], dict[str, bytes]], reason: str
) -> None:
    with pytest.raises(VerificationFailed, match=reason):
        verify(change(signed_files(unsigned_files())))


def test_an_unsigned_bundle_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match="is not signed"):
        verify(unsigned_files())


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS384", "PS256", "ES256K", "", None, 1, ["ES256"]])
def test_no_other_algorithm_is_even_tried(algorithm: object) -> None:
    files = signed_files(unsigned_files())
    _, payload, signature = token_of(files)

    with pytest.raises(SignatureInvalid, match="algorithm"):
        verify(with_token(files, encode({"alg": algorithm}), payload, signature))
    with pytest.raises(SignatureInvalid, match="algorithm"):
        verify(with_token(files, encode({"alg": algorithm}), payload, ""))


def test_an_hmac_with_the_public_key_as_secret_is_refused() -> None:
    files = signed_files(unsigned_files())
    signed = f"{encode({'alg': 'HS256'})}.{token_of(files)[1]}"
    mac = hmac.digest(key("author").public_key_pem.encode(), signed.encode(), "sha256")

    with pytest.raises(SignatureInvalid, match="'HS256'"):
        verify(with_token(files, signed, encode(mac)))


def test_an_algorithm_of_the_list_that_is_not_the_keys_is_refused() -> None:
    files = signed_files(unsigned_files())
    _, payload, signature = token_of(files)

    for algorithm in ("EdDSA", "ES384"):
        with pytest.raises(SignatureInvalid):
            verify(with_token(files, encode({"alg": algorithm}), payload, signature))


def test_a_key_signs_with_its_own_algorithm_whatever_the_token_says() -> None:
    """An author's ECDSA signature in a token for EdDSA: OPA would refuse it, so policyd does."""
    files = signed_files(unsigned_files())
    signed = f"{encode({'alg': 'EdDSA'})}.{token_of(files)[1]}"

    with pytest.raises(SignatureInvalid):
        verify(with_token(files, signed, encode(key("author").sign(signed.encode()))))


def test_a_signature_has_one_length() -> None:
    files = signed_files(unsigned_files())
    header, payload, signature = token_of(files)
    raw = base64.urlsafe_b64decode(signature + "==")

    for longer in (raw[:32] + b"\0" + raw[32:], raw + b"\0", raw[:-1], b""):
        with pytest.raises(SignatureInvalid):
            verify(with_token(files, header, payload, encode(longer)))


def test_an_rsa_key_signs_nothing_here() -> None:
    files = signed_files(unsigned_files())
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.hashes import SHA256

    signed = f"{encode({'alg': 'RS256'})}.{token_of(files)[1]}"
    signature = private.sign(signed.encode(), padding.PKCS1v15(), SHA256())

    with pytest.raises(SignatureInvalid):
        verify(with_token(files, signed, encode(signature)))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"{}", "does not hold `signatures` alone"),
        (b"[]", "does not hold `signatures` alone"),
        (b'{"signatures":[]}', "exactly one token"),
        (b'{"signatures":[1]}', "exactly one token"),
        (b'{"signatures":["a.b.c","a.b.c"]}', "exactly one token"),
        (b'{"signatures":["a.b.c"],"plugin":"mine"}', "does not hold `signatures` alone"),
        (b'{"signatures":["a.b"]}', "three parts"),
        (b'{"signatures":["a.b.c.d"]}', "three parts"),
        (b'{"signatures":["a.b.c"]}', "base64url"),
        (b'{"signatures":["e30+.b.c"]}', "base64url"),
        (b'{"signatures":["e30=.b.c"]}', "base64url"),
        (b'{"signatures":["W10.b.c"]}', "header"),
        (b"\xff", "not UTF-8"),
        (b'{"signatures":["a"],"signatures":["b"]}', "twice"),
    ],
)
def test_a_signature_file_of_another_shape_is_refused(document: bytes, reason: str) -> None:
    with pytest.raises(SignatureInvalid, match=reason):
        verify({**unsigned_files(), SIGNATURES: document})


def test_what_an_author_signed_must_still_be_a_list_of_these_files() -> None:
    """The signature holds in each of these; what it says is not what policyd says."""
    files = unsigned_files()
    listed = decode(token_of(signed_files(files))[1])["files"]
    header = {"alg": "ES256"}
    verify(resigned(files, header, {"files": listed}))
    weaker = [{**entry, "algorithm": "MD5"} for entry in listed]

    payloads: tuple[object, ...] = (
        {},
        [],
        {"files": {}},
        {"files": []},
        {"files": listed[1:]},
        {"files": [*listed, listed[0]]},
        {"files": list(reversed(listed))},
        {"files": weaker},
        {"files": [{**listed[0], "hash": listed[0]["hash"].upper()}, *listed[1:]]},
        {"files": listed, "scope": "write"},
        {"files": [None, *listed[1:]]},
    )
    for payload in payloads:
        with pytest.raises(VerificationFailed):
            verify(resigned(files, header, payload))


def test_headers_that_change_what_is_verified_are_refused() -> None:
    files = unsigned_files()
    payload = decode(token_of(signed_files(files))[1])

    headers: tuple[dict[str, object], ...] = ({"crit": ["b64"], "b64": False}, {"jwk": {}}, {"x5c": []})
    for more in headers:
        with pytest.raises(SignatureInvalid, match="header"):
            verify(resigned(files, {"alg": "ES256", **more}, payload))


def test_only_a_policy_author_counts() -> None:
    files = unsigned_files()

    for role in (Role.DECIDER, Role.BUILDER, Role.APPROVER):
        with pytest.raises(SignatureInvalid, match="policy-author"):
            verify(signed_files(files, key(role.value)))
    without = author_trust()
    without = without.model_copy(update={"roles": {Role.DECIDER: without.roles[Role.DECIDER]}})
    with pytest.raises(IdentityNotTrusted, match="lists no key for the role policy-author"):
        verify(signed_files(files), without)


@pytest.mark.parametrize(
    "window",
    [{"revoked_at": NOW}, {"valid_until": NOW}, {"valid_from": NOW + timedelta(seconds=1)}],
    ids=["revoked", "over", "not yet"],
)
def test_only_a_key_in_force_counts(window: dict[str, Any]) -> None:
    with pytest.raises(IdentityNotTrusted, match=r"ann@example\.com"):
        verify(signed_files(unsigned_files()), author_trust(trusted(key("author"), "ann@example.com", **window)))


def test_the_key_in_the_header_is_a_hint_and_no_more() -> None:
    files = unsigned_files()
    payload = decode(token_of(signed_files(files))[1])

    verify(resigned(files, {"alg": "ES256", "kid": "../../etc/passwd"}, payload))


def test_signatures_are_over_the_other_files_alone() -> None:
    files = signed_files(unsigned_files())

    assert render_signatures(files, ed25519_key("author")) == render_signatures(unsigned_files(), ed25519_key("author"))
