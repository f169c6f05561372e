"""Direct trust in a key: what every kind of key signs, with and without a trusted root."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from policyd.attestation.bundle import BUNDLE_V03, read_bundle
from policyd.attestation.direct import Asked, needed_digests, verify_direct
from policyd.attestation.findings import CHECKS, DirectVerification, State
from policyd.attestation.keys import KeyKind, read_public_key
from policyd.attestation.material import BundleVersion
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.attestation.subjects import Digests
from policyd.errors import DocumentError, ExitCode, KeyUnusable
from policyd.models.canonical import sha256_hex
from tests.attestation import made_keys
from tests.attestation.keyless.instance import (
    CONTENT,
    NOW,
    PREDICATE_TYPE,
    SIGNED_AT,
    Instance,
    LeafOptions,
    Value,
    b64,
    pae,
    private_key,
    public_pem,
    sign,
    statement,
)
from tests.attestation.keyless.verifying import failed, file, key_trust, verify

INSTANCE = Instance()
PEM = public_pem(private_key("p256", "managed"))


def _managed(**changes: object) -> Value:
    """Return a managed key's bundle that is in no log."""
    bundle = INSTANCE.bundle(managed="managed", **changes)  # type: ignore[arg-type]
    bundle["verificationMaterial"]["tlogEntries"] = []
    return bundle


def _envelope(payload: bytes, payload_type: str = "application/vnd.in-toto+json", name: str = "managed") -> Value:
    signature = sign(private_key("p256", name), pae(payload_type, payload))
    return {"payload": b64(payload), "payloadType": payload_type, "signatures": [{"sig": b64(signature)}]}


@pytest.mark.parametrize("kind", made_keys.KINDS)
def test_an_attestation_by_every_kind_of_key_that_policyd_signs_with(kind: KeyKind) -> None:
    signer = made_keys.signer(kind)
    payload = render_statement([Named("x", sha256_hex(CONTENT))], PREDICATE_TYPE, {"a": "b"})
    bundle = read_bundle(sign_statement(payload, signer), where="bundle.json")

    found = verify_direct(
        bundle, Asked(key_trust(signer.public_key_pem), PREDICATE_TYPE), [file()], now=NOW, where="bundle.json"
    )

    assert failed(found) == 0
    assert [check.number for check in found.checks] == [1, 2, 3, 4, 11, 12]
    assert found.signer is not None
    assert found.signer.key_sha256 == signer.key_sha256


def test_a_bare_envelope_is_a_bundle_of_its_own() -> None:
    assert failed(verify(_envelope(statement()), key_trust(PEM), predicate_type="")) == 0


def test_a_key_id_is_a_hint_and_no_more() -> None:
    """cosign 3.1.3 refuses one that it does not know."""
    envelope = _envelope(statement())
    envelope["signatures"][0]["keyid"] = "SHA256:somebody"
    bundle = _managed(payload=statement())
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = "SHA256:somebody else"
    bundle["verificationMaterial"]["publicKey"]["hint"] = "neither"

    assert failed(verify(envelope, key_trust(PEM), predicate_type="")) == 0
    assert failed(verify(bundle, key_trust(PEM))) == 0


def test_two_signatures_of_which_one_is_by_somebody_else() -> None:
    envelope = _envelope(statement())
    envelope["signatures"] += _envelope(statement(), name="somebody")["signatures"]

    assert failed(verify(envelope, key_trust(PEM), predicate_type="")) == 1


def test_another_key_another_content_another_type() -> None:
    other = public_pem(private_key("p256", "somebody"))

    assert failed(verify(_managed(), key_trust(other))) == 4
    assert failed(verify(_managed(payload=statement()), key_trust(other))) == 4
    assert failed(verify(_managed(), key_trust(PEM), files=[file(b"other")])) == 4
    assert failed(verify(_managed(payload=statement()), key_trust(PEM), files=[file(b"other")])) == 12
    assert failed(verify(_managed(payload=statement(), payload_type="text/plain"), key_trust(PEM))) == 2


def test_a_signature_of_two_raw_numbers_is_none() -> None:
    """cosign 3.1.3 takes it."""
    bundle = _managed()
    r, s = decode_dss_signature(base64.b64decode(bundle["messageSignature"]["signature"]))
    bundle["messageSignature"]["signature"] = b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    assert failed(verify(bundle, key_trust(PEM))) == 4


@pytest.mark.parametrize("kind", ["rsa2048", "secp256k1"])
def test_keys_that_are_too_weak_or_of_another_curve_are_no_trust(kind: str) -> None:
    with pytest.raises(KeyUnusable):
        read_public_key(public_pem(private_key(kind, "weak")), where="key.pub")


def test_a_bundle_without_a_trusted_root_says_what_was_not_looked_at() -> None:
    bundle = INSTANCE.bundle(managed="managed", stamps=[SIGNED_AT])

    found = verify(bundle, key_trust(PEM))

    assert failed(found) == 0
    assert {check.number: check.state for check in found.checks if check.number in (5, 6, 7)} == {
        5: State.SKIPPED,
        7: State.SKIPPED,
    }


def test_with_a_trusted_root_log_and_time_have_to_hold() -> None:
    root = INSTANCE.trusted_root()
    trust = key_trust(PEM, root)
    logged = INSTANCE.bundle(managed="managed", stamps=[SIGNED_AT])

    assert failed(verify(logged, trust)) == 0
    assert [check.state for check in verify(logged, trust).checks[4:7]] == [State.HELD] * 3
    assert failed(verify(_managed(), trust)) == 5
    assert (
        failed(verify(INSTANCE.bundle(managed="managed", payload=statement(), entry=("intoto", "0.0.2")), trust)) == 0
    )
    assert failed(verify(INSTANCE.bundle(managed="managed", entry=("hashedrekord", "0.0.2")), trust)) == 0

    other = copy.deepcopy(logged)
    theirs = INSTANCE.bundle(b"another", managed="managed")
    other["verificationMaterial"]["tlogEntries"] = theirs["verificationMaterial"]["tlogEntries"]
    assert failed(verify(other, trust)) == 6
    # An entry that somebody else made of the same file is not this key's.
    other["verificationMaterial"]["tlogEntries"] = INSTANCE.bundle()["verificationMaterial"]["tlogEntries"]
    assert failed(verify(other, trust)) == 6

    without_logs = key_trust(PEM, root | {"tlogs": []})
    found = verify(_managed(), without_logs)
    assert failed(found) == 0
    assert found.checks[4].state is State.SKIPPED
    assert failed(verify(logged, without_logs)) == 5


@pytest.mark.parametrize("kind", ["p384", "p521", "ed25519", "rsa3072"])
def test_a_file_signed_by_every_kind_of_key(kind: str) -> None:
    options = LeafOptions(kind=kind)  # type: ignore[arg-type]
    pem = public_pem(private_key(options.kind, "managed"))
    bundle = _managed(leaf=options)

    assert failed(verify(bundle, key_trust(pem))) == 0
    assert failed(verify(bundle, key_trust(pem), files=[file(b"other")])) == 4


def test_what_a_digest_alone_can_not_show_is_a_request_that_can_not_be_used() -> None:
    sha256: Digests = {"sha256": file().digests["sha256"]}
    for kind in ("p384", "ed25519"):
        options = LeafOptions(kind=kind)
        trust = key_trust(public_pem(private_key(options.kind, "managed")))

        found = verify(_managed(leaf=options), trust, files=[replace(file(), digests=sha256, content=None)])

        assert failed(found) == 4
        assert found.exit_code is ExitCode.USAGE
    assert failed(verify(_managed(), key_trust(PEM), files=[replace(file(), digests=sha256, content=None)])) == 0


def test_the_digests_that_a_bundle_needs() -> None:
    def needed(bundle: Value, pem: str = PEM) -> tuple[list[str], bool]:
        read = read_bundle(json.dumps(bundle).encode(), where="x", oldest=BundleVersion.V0_1)
        names, content = needed_digests(read, Asked(key_trust(pem)))
        return sorted(names), content

    assert needed(_managed()) == (["sha256"], False)
    assert needed(_managed(payload=statement())) == (["sha256"], False)
    npm = statement(subject=[{"name": "x", "digest": {"sha512": "0" * 128}}])
    assert needed(_managed(payload=npm)) == (["sha256", "sha512"], False)
    for kind, expected in (("p384", (["sha256", "sha384"], False)), ("ed25519", (["sha256", "sha512"], True))):
        options = LeafOptions(kind=kind)  # type: ignore[arg-type]
        pem = public_pem(private_key(options.kind, "managed"))
        assert needed(_managed(leaf=options), pem) == expected


def test_of_a_folder_the_file_that_is_meant_is_found_by_its_digest() -> None:
    files = [file(b"one", "one"), file(CONTENT, "two"), file(b"three", "three")]

    assert verify(_managed(), key_trust(PEM), files=files).files == {"two"}
    assert verify(_managed(payload=statement()), key_trust(PEM), files=files).files == {"two"}
    assert failed(verify(_managed(), key_trust(PEM), files=[files[0], files[2]])) == 12
    assert failed(verify(_managed(payload=statement()), key_trust(PEM), files=[files[0], files[2]])) == 12


def test_any_type_may_be_asked_for_and_is_weaker() -> None:
    found = verify(_managed(payload=statement()), key_trust(PEM), predicate_type="")

    assert failed(found) == 0
    assert found.checks[4].state is State.WEAKENED


def test_a_verification_without_a_check_is_none() -> None:
    nothing = DirectVerification(checks=())

    assert not nothing.verified
    assert nothing.exit_code is ExitCode.REFUSED


def test_the_checks_have_the_numbers_the_documentation_gives_them() -> None:
    assert list(CHECKS) == list(range(1, 13))


def test_a_bundle_of_a_version_that_nobody_knows_is_none() -> None:
    with pytest.raises(DocumentError):
        verify(_managed() | {"mediaType": BUNDLE_V03.replace("v0.3", "v0.4")}, key_trust(PEM))
