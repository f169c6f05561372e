"""Keyless bundles of a private instance: good ones hold, here and for sigstore-python; each wrong one is refused."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import sigstore
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import TrustedRoot as SigstoreRoot
from sigstore.verify import Verifier
from sigstore.verify import policy as sigstore_policy

from policyd.attestation.bundle import read_bundle
from policyd.attestation.direct import Asked, verify_direct
from policyd.attestation.findings import State
from policyd.attestation.keyless.trusted_root import read_trusted_root
from policyd.attestation.material import BundleVersion
from policyd.errors import DocumentError
from tests.attestation.keyless.instance import (
    BEGINNING,
    CONTENT,
    END,
    IDENTITY,
    ISSUER,
    MEDIA_TYPES,
    NOW,
    PREDICATE_TYPE,
    SIGNED_AT,
    Certificates,
    Clock,
    Instance,
    Kind,
    LeafOptions,
    PrivateKey,
    TransparencyLog,
    Value,
    b64,
    moment,
    private_key,
    public_der,
    public_pem,
    statement,
    utf8,
)
from tests.attestation.keyless.verifying import failed, file, identity_trust, key_trust, verify

INSTANCE = Instance()
ROOT = INSTANCE.trusted_root()
TRUST = identity_trust(ROOT)
MINUTE = timedelta(minutes=1)

#: Every kind of entry, and whether it is of an attestation.
ENTRIES = [
    (("hashedrekord", "0.0.1"), False),
    (("hashedrekord", "0.0.2"), False),
    (("hashedrekord", "0.0.2"), True),
    (("dsse", "0.0.1"), True),
    (("dsse", "0.0.2"), True),
    (("intoto", "0.0.1"), True),
    (("intoto", "0.0.2"), True),
]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    path = tmp_path_factory.mktemp("root") / "trusted_root.json"
    path.write_text(json.dumps(ROOT))
    return Verifier(trusted_root=SigstoreRoot.from_file(str(path)))


def by_sigstore(verifier: Verifier, bundle: Value, content: bytes = CONTENT) -> None:
    parsed = SigstoreBundle.from_json(json.dumps(bundle).encode())
    asked = sigstore_policy.Identity(identity=IDENTITY, issuer=ISSUER)
    if "dsseEnvelope" in bundle:
        verifier.verify_dsse(parsed, asked)
    else:
        verifier.verify_artifact(content, parsed, asked)


@pytest.mark.parametrize(("entry", "attests"), ENTRIES, ids=str)
@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa3072"])
def test_a_good_bundle_of_every_kind_of_entry_and_key_is_verified(
    entry: tuple[str, str], attests: bool, kind: Kind
) -> None:
    bundle = INSTANCE.bundle(payload=statement() if attests else None, entry=entry, leaf=LeafOptions(kind=kind))

    found = verify(bundle, TRUST)

    assert failed(found) == 0
    assert [check.number for check in found.checks] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, *([11] if attests else []), 12]
    assert found.signer is not None
    assert (found.signer.identity, found.signer.issuer) == (IDENTITY, ISSUER)
    assert found.signer.facts["source_repository_uri"] == "https://github.com/example/project"
    assert found.predicate_type == (PREDICATE_TYPE if attests else None)
    assert found.times[0][0] == SIGNED_AT


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3", "0.3 as before"])
@pytest.mark.parametrize("attests", [False, True], ids=["file", "attestation"])
def test_every_version_holds_here_and_for_sigstore_python(version: str, attests: bool, peer: Verifier) -> None:
    bundle = INSTANCE.bundle(payload=statement() if attests else None, version=version)

    assert failed(verify(bundle, TRUST)) == 0
    by_sigstore(peer, bundle)


@pytest.mark.parametrize("attests", [False, True], ids=["file", "attestation"])
def test_rekor_v2_with_a_timestamp_holds_here_and_for_sigstore_python(attests: bool, peer: Verifier) -> None:
    """It also shows that the timestamps these tests make are real ones."""
    bundle = INSTANCE.bundle(payload=statement() if attests else None, entry=("hashedrekord", "0.0.2"))

    assert failed(verify(bundle, TRUST)) == 0
    by_sigstore(peer, bundle)


def test_an_entry_that_does_not_name_the_signature_weakens_its_check() -> None:
    found = verify(INSTANCE.bundle(payload=statement(), entry=("intoto", "0.0.1")), TRUST)

    assert failed(found) == 0
    assert found.checks[5].state is State.WEAKENED


def test_a_bundle_v01_without_an_inclusion_proof_is_weaker_and_can_be_refused() -> None:
    bundle = INSTANCE.bundle(version="0.1")
    del bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]

    found = verify(bundle, TRUST)

    assert failed(found) == 0
    assert found.checks[4].state is State.WEAKENED


def test_a_bundle_older_than_asked_for_is_refused() -> None:
    bundle = read_bundle(
        json.dumps(INSTANCE.bundle(version="0.2")).encode(), where="bundle.json", oldest=BundleVersion.V0_1
    )

    found = verify_direct(bundle, Asked(TRUST, None, BundleVersion.V0_3), [file()], now=NOW, where="bundle.json")

    assert failed(found) == 1


# --- what is wrong with the bundle as a whole


def _without(*path: str | int) -> Callable[[Value], None]:
    def take_out(bundle: Value) -> None:
        part: Any = bundle
        for step in path[:-1]:
            part = part[step]
        del part[path[-1]]

    return take_out


ENTRY: tuple[str | int, ...] = ("verificationMaterial", "tlogEntries", 0)


@pytest.mark.parametrize(
    ("take_out", "number"),
    [
        (_without("verificationMaterial", "tlogEntries"), 5),
        (_without(*ENTRY, "inclusionProof"), 5),
        (_without(*ENTRY, "inclusionPromise"), 7),
        (_without(*ENTRY, "integratedTime"), 5),
        (_without("verificationMaterial", "certificate"), 3),
    ],
    ids=["log entry", "proof", "promise", "time", "certificate"],
)
def test_what_a_bundle_must_bring(take_out: Callable[[Value], None], number: int) -> None:
    bundle = INSTANCE.bundle()
    take_out(bundle)

    assert failed(verify(bundle, TRUST)) == number


def test_a_rekor_v2_bundle_without_a_timestamp_proves_no_time() -> None:
    assert failed(verify(INSTANCE.bundle(entry=("hashedrekord", "0.0.2"), stamps=[]), TRUST)) == 7


def test_another_artifact() -> None:
    assert failed(verify(INSTANCE.bundle(), TRUST, files=[file(b"another")])) == 4
    assert failed(verify(INSTANCE.bundle(payload=statement()), TRUST, files=[file(b"another")])) == 12


def test_another_type_of_attestation_and_another_kind_of_content() -> None:
    attestation = INSTANCE.bundle(payload=statement())

    assert failed(verify(attestation, TRUST, predicate_type=PREDICATE_TYPE)) == 0
    assert failed(verify(attestation, TRUST, predicate_type="https://slsa.dev/provenance/v0.2")) == 11
    assert failed(verify(INSTANCE.bundle(), TRUST, predicate_type=PREDICATE_TYPE)) == 2


def test_a_good_signature_over_another_payload_type() -> None:
    assert failed(verify(INSTANCE.bundle(payload=statement(), payload_type="application/json"), TRUST)) == 2


@pytest.mark.parametrize(
    ("payload", "number"),
    [
        (b"null", 11),
        (b'{"_type": "https://in-toto.io/Statement/v1", "_type": "https://in-toto.io/Statement/v1"}', 11),
        (statement(_type="https://in-toto.io/Statement/v2"), 11),
        (statement(_type=None), 11),
        (statement(subject=[]), 11),
        (statement(subject=[{"name": "x", "digest": {"sha1": "0" * 40}}]), 11),
        (statement(subject=[{"name": "x", "digest": {"sha256": "A" * 64}}]), 11),
        (statement(subject=[{"name": "x"}]), 11),
        (statement(predicate=[]), 11),
        (statement(subject=[{"name": "release.tar.gz", "digest": {"sha256": "0" * 64}}]), 12),
    ],
    ids=["null", "two types", "v2", "no type", "no subject", "sha1", "upper case", "bare", "list", "other"],
)
def test_a_signed_statement_that_says_nothing_of_this_artifact(payload: bytes, number: int) -> None:
    assert failed(verify(INSTANCE.bundle(payload=payload), TRUST)) == number


def test_statement_v01_and_stronger_digests_are_read() -> None:
    sha512 = file().digests["sha512"].hex()
    for payload in (
        statement(_type="https://in-toto.io/Statement/v0.1"),
        statement(subject=[{"name": "x", "digest": {"sha512": sha512}}]),
    ):
        assert failed(verify(INSTANCE.bundle(payload=payload), TRUST)) == 0


def test_a_subject_whose_digests_contradict_each_other_is_no_match() -> None:
    digests = {"sha256": file().digests["sha256"].hex(), "sha512": "0" * 128}

    assert failed(verify(INSTANCE.bundle(payload=statement(subject=[{"digest": digests}])), TRUST)) == 12


def test_a_file_that_begins_as_an_envelopes_bytes() -> None:
    content = b"DSSEv1 28 application/vnd.in-toto+json 2 {}"

    assert failed(verify(INSTANCE.bundle(content), TRUST, files=[file(content)])) == 4


def test_a_managed_keys_bundle_is_no_keyless_one_and_the_other_way_round() -> None:
    managed = INSTANCE.bundle(managed="somebody")
    pem = public_pem(private_key("p256", "somebody"))

    assert failed(verify(managed, key_trust(pem, ROOT))) == 0
    assert failed(verify(managed, TRUST)) == 3
    assert failed(verify(INSTANCE.bundle(), key_trust(pem, ROOT))) == 3


# --- the certificate


def _leaf(**changes: object) -> Value:
    return INSTANCE.bundle(leaf=LeafOptions(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bundle", "number"),
    [
        (_leaf(purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]), 3),
        (_leaf(purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), 3),
        (_leaf(purposes=None), 3),
        (_leaf(digital_signature=False), 3),
        (_leaf(is_authority=True), 3),
        (_leaf(kind="rsa2048"), 3),
        (_leaf(kind="secp256k1"), 3),
        (_leaf(more=[("1.2.3.4", b"\x05\x00", True)]), 3),
        (_leaf(without_issuer=True), 3),
        (_leaf(names=[]), 3),
        (_leaf(names=[x509.DNSName("example.com")]), 3),
        (_leaf(names=[x509.UniformResourceIdentifier(IDENTITY), x509.RFC822Name("a@example.com")]), 3),
        (_leaf(issuer_v1=b"https://accounts.example", issuer_v2=utf8(ISSUER.encode())), 3),
        (_leaf(issuer_v2=ISSUER.encode()), 3),
        (_leaf(issuer_v2=utf8(ISSUER.encode()) + b"x"), 3),
        (_leaf(timestamps=0), 9),
        (_leaf(sct_at=BEGINNING - MINUTE), 9),
        (_leaf(valid_from=SIGNED_AT + MINUTE), 8),
        (_leaf(valid_from=SIGNED_AT - 11 * MINUTE), 8),
        (_leaf(names=[x509.UniformResourceIdentifier(IDENTITY + "x")]), 10),
        (_leaf(names=[x509.UniformResourceIdentifier(IDENTITY.upper())]), 10),
        (_leaf(issuer_v1=b"https://accounts.example"), 10),
    ],
    ids=[
        "client",
        "any purpose",
        "no purpose",
        "no signature",
        "authority",
        "rsa2048",
        "secp256k1",
        "critical",
        "no issuer",
        "no name",
        "dns",
        "two names",
        "two issuers",
        "bare issuer",
        "long issuer",
        "no sct",
        "early sct",
        "too early",
        "expired",
        "other name",
        "other case",
        "other issuer",
    ],
)
def test_a_certificate_that_does_not_count(bundle: Value, number: int) -> None:
    assert failed(verify(bundle, TRUST)) == number


def test_two_certificate_timestamps_are_fine_and_a_wrong_one_beside_a_good_one_is_not() -> None:
    assert failed(verify(_leaf(timestamps=2), TRUST)) == 0
    assert failed(verify(_leaf(timestamps=9), TRUST)) == 9


def test_fulcios_own_kind_of_name() -> None:
    name = x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), utf8(b"foo!oidc.local"))

    found = verify(_leaf(names=[name]), identity_trust(ROOT, "foo!oidc.local"))

    assert failed(found) == 0


def test_a_certificate_of_another_instance() -> None:
    """Same names everywhere, other keys."""
    other = Instance(certificates=Certificates(name="another"))
    other.log, other.log_v2, other.clock = INSTANCE.log, INSTANCE.log_v2, INSTANCE.clock

    assert failed(verify(other.bundle(), TRUST)) == 8


def test_an_authority_counts_only_within_its_window() -> None:
    for window, number in (
        ({"start": moment(SIGNED_AT + MINUTE)}, 8),
        ({"start": moment(BEGINNING), "end": moment(SIGNED_AT - MINUTE)}, 8),
        ({}, 8),
        ({"start": moment(BEGINNING), "end": moment(SIGNED_AT)}, 0),
        ({"start": moment(SIGNED_AT)}, 0),
    ):
        root = copy.deepcopy(ROOT)
        root["certificateAuthorities"][0]["validFor"] = window

        assert failed(verify(INSTANCE.bundle(), identity_trust(root))) == number


@pytest.mark.parametrize("part", ["tlogs", "ctlogs"])
def test_a_log_counts_only_within_its_window(part: str) -> None:
    number = {"tlogs": 5, "ctlogs": 9}[part]
    for window in ({"start": moment(SIGNED_AT + MINUTE)}, {"start": moment(BEGINNING), "end": moment(BEGINNING)}, {}):
        root = copy.deepcopy(ROOT)
        root[part][0]["publicKey"]["validFor"] = window

        assert failed(verify(INSTANCE.bundle(), identity_trust(root))) == number


def test_a_log_that_gives_no_time_counts_only_within_its_window() -> None:
    root = copy.deepcopy(ROOT)
    root["tlogs"][1]["publicKey"]["validFor"] = {"start": moment(SIGNED_AT + MINUTE)}

    assert failed(verify(INSTANCE.bundle(entry=("hashedrekord", "0.0.2")), identity_trust(root))) == 7


def test_a_timestamp_authority_counts_only_within_its_window() -> None:
    bundle = INSTANCE.bundle(entry=("hashedrekord", "0.0.2"))
    for window, number in (
        ({"start": moment(SIGNED_AT + MINUTE)}, 7),
        ({"start": moment(BEGINNING), "end": moment(SIGNED_AT - MINUTE)}, 7),
        ({}, 7),
        ({"start": moment(BEGINNING), "end": moment(SIGNED_AT)}, 0),
    ):
        root = copy.deepcopy(ROOT)
        root["timestampAuthorities"][0]["validFor"] = window

        assert failed(verify(bundle, identity_trust(root))) == number


def test_an_intermediate_may_come_with_the_bundle_but_nothing_from_it_is_an_anchor() -> None:
    certificates = INSTANCE.certificates
    bundle = INSTANCE.bundle(version="0.2")
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain += [
        {"rawBytes": b64(one.public_bytes(Encoding.DER))} for one in (certificates.intermediate, certificates.root)
    ]
    root = copy.deepcopy(ROOT)
    pinned = root["certificateAuthorities"][0]["certChain"]["certificates"]

    del pinned[0]
    assert failed(verify(bundle, identity_trust(root))) == 0
    root["certificateAuthorities"] = []
    assert failed(verify(bundle, identity_trust(root))) == 8


@pytest.mark.parametrize(
    "certificates",
    [
        Certificates(name="tls", intermediate_purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
        Certificates(name="young", start=SIGNED_AT + MINUTE),
        Certificates(name="old", end=SIGNED_AT - MINUTE),
    ],
    ids=lambda one: one.name,
)
def test_an_authority_whose_certificates_are_not_for_this(certificates: Certificates) -> None:
    instance = Instance(certificates=certificates)
    options = LeafOptions(valid_from=SIGNED_AT - 5 * MINUTE)

    assert failed(verify(instance.bundle(leaf=options), identity_trust(instance.trusted_root()))) == 8


def _issued(
    subject: x509.Name, key: Kind, issuer: x509.Certificate, by: PrivateKey, *, ca: bool, sign: bool, weak: bool = False
) -> x509.Certificate:
    """Return a certificate that should not be able to issue another, or should not have been issued so."""
    public = private_key(key, "below").public_key()
    usage = x509.KeyUsage(not sign, False, False, False, False, sign, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGINNING)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(by, hashes.SHA224() if weak else hashes.SHA384())
    )


@pytest.mark.parametrize(
    ("path_length", "ca", "sign", "number"),
    [(None, True, True, 0), (1, True, True, 0), (0, True, True, 8), (1, False, True, 8), (1, True, False, 8)],
    ids=["good", "long enough", "too long", "no authority", "no certificates"],
)
def test_who_may_issue_below_a_pinned_authority(path_length: int | None, ca: bool, sign: bool, number: int) -> None:
    """The classic attack: a certificate that somebody rightly has signs another for somebody else."""
    certificates = Certificates(path_length=path_length)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "below")])
    below = _issued(name, "p384", certificates.intermediate, certificates.key, ca=ca, sign=sign)
    instance = Instance(certificates=certificates)
    root = instance.trusted_root()
    certificates.intermediate, certificates.key = below, private_key("p384", "below")
    bundle = instance.bundle(version="0.2")
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain.append({"rawBytes": b64(below.public_bytes(Encoding.DER))})

    assert failed(verify(bundle, identity_trust(root))) == number


def test_more_certificates_between_than_any_instance_has() -> None:
    """Each order of them would be tried."""
    root = copy.deepcopy(ROOT)
    del root["certificateAuthorities"][0]["certChain"]["certificates"][0]
    bundle = INSTANCE.bundle(version="0.2")
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    intermediate = {"rawBytes": b64(INSTANCE.certificates.intermediate.public_bytes(Encoding.DER))}

    chain += [intermediate] * 3
    assert failed(verify(bundle, identity_trust(root))) == 0
    chain.append(intermediate)
    assert failed(verify(bundle, identity_trust(root))) == 8


def test_a_certificate_signed_over_a_weak_digest() -> None:
    certificates = Certificates()
    name = certificates.intermediate.subject
    certificates.intermediate = _issued(
        name, "p384", certificates.root, certificates.root_key, ca=True, sign=True, weak=True
    )
    instance = Instance(certificates=certificates)

    with pytest.raises(DocumentError):
        identity_trust(instance.trusted_root())


def test_a_certificate_timestamp_by_another_log_or_another_key() -> None:
    nobody, other = copy.deepcopy(ROOT), copy.deepcopy(ROOT)
    nobody["ctlogs"] = []
    other["ctlogs"][0]["publicKey"]["rawBytes"] = b64(public_der(private_key("p256", "another log")))

    assert failed(verify(INSTANCE.bundle(), identity_trust(nobody))) == 9
    assert failed(verify(INSTANCE.bundle(), identity_trust(other))) == 9


# --- the log


def test_a_bundle_v01_must_have_a_promise() -> None:
    bundle = INSTANCE.bundle(version="0.1", stamps=[SIGNED_AT])
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    del entry["inclusionPromise"]

    assert failed(verify(bundle, TRUST)) == 5
    assert failed(verify(bundle | {"mediaType": MEDIA_TYPES["0.2"]}, TRUST)) == 0


@pytest.mark.parametrize("generation", [1, 2])
def test_a_checkpoint_whose_signature_is_wrong(generation: int) -> None:
    bundle = INSTANCE.bundle(entry=("hashedrekord", f"0.0.{generation}"))
    checkpoint = bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["checkpoint"]
    note, _, encoded = checkpoint["envelope"].rstrip("\n").rpartition(" ")
    signature = bytearray(base64.b64decode(encoded))
    signature[-1] ^= 1
    good = checkpoint["envelope"]
    line = good.rpartition("\n\n")[2]
    wrong = f"{note} {b64(bytes(signature))}\n"

    for envelope in (wrong, good + wrong.rpartition("\n\n")[2]):
        checkpoint["envelope"] = envelope
        assert failed(verify(bundle, TRUST)) == 5
    # A witness's signature beside the log's own is nobody's business here.
    checkpoint["envelope"] = good + line.replace("\N{EM DASH} ", "\N{EM DASH} witness.")
    assert failed(verify(bundle, TRUST)) == 0


def test_the_log_entry_of_another_bundle() -> None:
    """CVE-2022-36056: a good entry, which is of something else."""
    for attests in (False, True):
        mine = INSTANCE.bundle(payload=statement() if attests else None)
        other = INSTANCE.bundle(b"another", payload=statement(b"another") if attests else None)
        mine["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]

        assert failed(verify(mine, TRUST)) == 6


def test_the_checkpoint_of_another_log() -> None:
    other = TransparencyLog(host="rekor.elsewhere.example")
    bundle = INSTANCE.bundle()
    theirs = INSTANCE.bundle(logged_by=other)
    proof = bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
    proof["checkpoint"] = theirs["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["checkpoint"]

    assert failed(verify(bundle, TRUST)) == 5
    assert failed(verify(theirs, TRUST)) == 5


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("what", ["origin", "name", "size", "root"])
def test_a_checkpoint_that_the_log_signed_for_something_else(generation: int, what: str) -> None:
    """The log's own signature each time: only origin, signer's name, size and root tell."""
    log = INSTANCE.log if generation == 1 else INSTANCE.log_v2
    bundle = INSTANCE.bundle(entry=("hashedrekord", f"0.0.{generation}"))
    proof = bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
    size, good = int(proof["treeSize"]), base64.b64decode(proof["rootHash"])
    changes: Value = {
        "origin": {"origin": "log.elsewhere.example", "name": "log.elsewhere.example"},
        "name": {"name": "log.elsewhere.example"},
        "size": {},
        "root": {},
    }
    note = log.checkpoint(bytes(32) if what == "root" else good, size + 1 if what == "size" else size, **changes[what])
    proof["checkpoint"] = {"envelope": note}

    assert failed(verify(bundle, TRUST)) == 5


def test_a_log_that_the_trusted_root_does_not_list() -> None:
    root = copy.deepcopy(ROOT)
    del root["tlogs"][0]

    assert failed(verify(INSTANCE.bundle(), identity_trust(root))) == 5


def test_an_entry_twice_and_a_second_entry_that_does_not_hold() -> None:
    twice, second = INSTANCE.bundle(), INSTANCE.bundle()
    entries = twice["verificationMaterial"]["tlogEntries"]
    entries.append(entries[0])
    other = INSTANCE.bundle(b"another")["verificationMaterial"]["tlogEntries"][0]
    second["verificationMaterial"]["tlogEntries"].append(other)

    assert failed(verify(twice, TRUST)) == 5
    assert failed(verify(second, TRUST)) == 6


@pytest.mark.parametrize(("entry", "attests"), ENTRIES, ids=str)
def test_each_field_of_an_entry_that_binds_something_is_compared(entry: tuple[str, str], attests: bool) -> None:
    """The log itself says something else: promise, proof and checkpoint hold, and only the body tells."""
    payload = statement() if attests else None
    good: list[Value] = []

    def keep(body: Value) -> Value:
        good.append(body)
        return body

    INSTANCE.bundle(payload=payload, entry=entry, body=keep)
    for path, value in _leaves(good[0]):
        if path[-1] in UNBOUND or path[-2:] in UNBOUND:
            continue
        changed = _with(good[0], path, _other(value))

        assert (
            failed(verify(INSTANCE.bundle(payload=payload, entry=entry, body=partial(_instead, changed)), TRUST)) == 6
        )


#: What Rekor writes of its own: `hash` and `envelopeHash` are of JSON that nobody has any more.
UNBOUND: set[object] = {"keyDetails", ("envelopeHash", "algorithm"), ("envelopeHash", "value")} | {
    ("hash", "algorithm"),
    ("hash", "value"),
}


def test_the_hash_of_a_file_is_bound_though() -> None:
    """`hash` is not compared in entries of attestations alone."""

    def other(body: Value) -> Value:
        body["spec"]["data"]["hash"]["value"] = "0" * 64
        return body

    def weak(body: Value) -> Value:
        body["spec"]["data"]["hash"] = {"algorithm": "sha1", "value": "0" * 40}
        return body

    for change in (other, weak):
        assert failed(verify(INSTANCE.bundle(body=change), TRUST)) == 6


@pytest.mark.parametrize(
    "body",
    [{}, {"apiVersion": "0.0.1"}, {"kind": "hashedrekord", "apiVersion": "0.0.1"}],
    ids=["empty", "version", "no spec"],
)
def test_a_body_of_another_form(body: Value) -> None:
    assert failed(verify(INSTANCE.bundle(body=lambda _: body), TRUST)) == 6


def test_a_kind_of_entry_that_is_not_known() -> None:
    assert failed(verify(INSTANCE.bundle(entry=("rfc3161", "0.0.1")), TRUST)) == 6


# --- an instance without logs, as GitHub's for private repositories


def _without_logs(**changes: object) -> Value:
    options = LeafOptions(timestamps=0)
    bundle = INSTANCE.bundle(payload=statement(), leaf=options, **{"stamps": [SIGNED_AT], **changes})  # type: ignore[arg-type]
    bundle["verificationMaterial"]["tlogEntries"] = []
    return bundle


def test_an_instance_without_any_log_has_its_authority_and_a_timestamp() -> None:
    trust = identity_trust(ROOT | {"tlogs": [], "ctlogs": []})

    found = verify(_without_logs(), trust)

    assert failed(found) == 0
    assert {check.number for check in found.checks if check.state is State.SKIPPED} == {5, 9}
    assert found.times[0][0] == SIGNED_AT
    assert failed(verify(_without_logs(stamps=[]), trust)) == 7
    assert failed(verify(_without_logs(stamps=[SIGNED_AT + 20 * MINUTE]), trust)) == 8
    assert failed(verify(INSTANCE.bundle(payload=statement()), trust)) == 5


def test_an_instance_with_a_log_of_any_kind_needs_it() -> None:
    """Also one whose log has a key that policyd can't use: that there is one counts."""
    unusable = copy.deepcopy(ROOT["tlogs"][0])
    unusable["publicKey"]["keyDetails"] = "PKIX_RSA_PSS_2048_SHA256"

    assert failed(verify(_without_logs(), TRUST)) == 5
    assert failed(verify(_without_logs(), identity_trust(ROOT | {"ctlogs": []}))) == 5
    assert failed(verify(_without_logs(), identity_trust(ROOT | {"tlogs": []}))) == 5
    assert failed(verify(_without_logs(), identity_trust(ROOT | {"tlogs": [unusable], "ctlogs": []}))) == 5


# --- the time


def test_every_time_has_to_be_one_at_which_the_certificate_was_valid() -> None:
    in_time, late = SIGNED_AT + MINUTE, SIGNED_AT + 20 * MINUTE

    assert failed(verify(INSTANCE.bundle(stamps=[in_time]), TRUST)) == 0
    assert failed(verify(INSTANCE.bundle(stamps=[late]), TRUST)) == 8
    assert failed(verify(INSTANCE.bundle(stamps=[in_time, late]), TRUST)) == 8
    assert failed(verify(INSTANCE.bundle(entry=("hashedrekord", "0.0.2"), stamps=[in_time, late]), TRUST)) == 8
    assert failed(verify(INSTANCE.bundle(at=late), TRUST)) == 8


def test_a_timestamp_by_somebody_else_of_something_else_or_twice() -> None:
    stranger = INSTANCE.bundle(stamps=[])
    signature = b"another signature"
    for stamp in (Clock(name="stranger").stamp(signature, SIGNED_AT), INSTANCE.clock.stamp(signature, SIGNED_AT), b"x"):
        stranger["verificationMaterial"]["timestampVerificationData"] = {
            "rfc3161Timestamps": [{"signedTimestamp": b64(stamp)}]
        }
        assert failed(verify(stranger, TRUST)) == 7
    twice = INSTANCE.bundle(stamps=[SIGNED_AT])
    stamps = twice["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    stamps.append(stamps[0])
    assert failed(verify(twice, TRUST)) == 7


def test_a_clock_in_the_past() -> None:
    def at(now: datetime) -> int:
        return failed(verify(INSTANCE.bundle(), TRUST, now=now))

    assert at(SIGNED_AT - 4 * MINUTE) == 0
    assert at(SIGNED_AT - 6 * MINUTE) == 7
    assert at(END + timedelta(days=3650)) == 0


# --- every field


def _leaves(value: object, path: tuple[object, ...] = ()) -> list[tuple[tuple[object, ...], object]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for number, item in enumerate(value) for leaf in _leaves(item, (*path, number))]
    return [(path, value)]


def _instead(other: Value, _body: Value) -> Value:
    return other


def _with(value: Value, path: tuple[object, ...], other: object) -> Value:
    changed: Any = copy.deepcopy(value)
    part = changed
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = other
    return cast("Value", changed)


def _other(value: object) -> object:
    """Return another value of the same form."""
    assert isinstance(value, str)
    if value.isdecimal():
        return str(int(value) + 1)
    first = "B" if value[:1] != "B" else "C"
    return first + value[1:]


#: Fields that are hints, or that nothing signs because nothing rests on them.
HINTS = {"keyid", "hint"}


@pytest.mark.parametrize(
    "bundle",
    [
        INSTANCE.bundle(),
        INSTANCE.bundle(stamps=[SIGNED_AT]),
        INSTANCE.bundle(version="0.1"),
        INSTANCE.bundle(payload=statement()),
        INSTANCE.bundle(payload=statement(), entry=("intoto", "0.0.2")),
        INSTANCE.bundle(entry=("hashedrekord", "0.0.2")),
        INSTANCE.bundle(payload=statement(), entry=("hashedrekord", "0.0.2")),
    ],
    ids=["file", "stamped", "v0.1", "dsse", "intoto", "v2 file", "v2 attestation"],
)
def test_every_field_changed_is_refused(bundle: Value) -> None:
    assert failed(verify(bundle, TRUST)) == 0
    for path, value in _leaves(bundle):
        if path[-1] in HINTS:
            continue
        for other in (_other(value), None, "", 1, [], {}, str(value) + "="):
            try:
                found = verify(_with(bundle, path, other), TRUST)
            except DocumentError:
                continue
            assert failed(found) > 0, (path, other)


@pytest.mark.parametrize("name", ["certificate", "timestamp", "canonicalizedBody", "payload", "signature"])
def test_every_bit_of_what_is_signed_counts(name: str) -> None:
    """One bit in each tenth byte. Where a bit stands for nothing (a length in an unsigned frame) nothing may change."""
    bundle = INSTANCE.bundle(payload=statement(), stamps=[SIGNED_AT])
    good = verify(bundle, TRUST)
    material = bundle["verificationMaterial"]
    part, key = {
        "certificate": (material["certificate"], "rawBytes"),
        "timestamp": (material["timestampVerificationData"]["rfc3161Timestamps"][0], "signedTimestamp"),
        "canonicalizedBody": (material["tlogEntries"][0], "canonicalizedBody"),
        "payload": (bundle["dsseEnvelope"], "payload"),
        "signature": (bundle["dsseEnvelope"]["signatures"][0], "sig"),
    }[name]
    content = base64.b64decode(part[key])
    unsigned = 0
    for position in range(0, len(content), 10):
        changed = bytearray(content)
        changed[position] ^= 1 << (position % 8)
        part[key] = b64(bytes(changed))
        try:
            found = verify(bundle, TRUST)
        except DocumentError:
            continue
        if failed(found) == 0:
            unsigned += 1
            assert name == "timestamp"
            assert (found.signer, found.times) == (good.signer, good.times)
    assert unsigned <= 2


def test_the_root_files_that_come_with_sigstore_are_read() -> None:
    store = Path(sigstore.__file__).parent / "_store"
    roots = [
        read_trusted_root(path.read_bytes(), where=str(path)) for path in sorted(store.glob("*/trusted_root.json"))
    ]

    assert len(roots) == 2
    assert all(root.logs and root.certificate_logs and root.authorities for root in roots)
