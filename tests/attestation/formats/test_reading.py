"""Evidence as other tools write it: the good is verified, each field changed is refused, and nothing else comes out."""

from __future__ import annotations

import base64
import copy
import json
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypi_attestations import Attestation as PypiAttestation

from policyd.attestation.direct import Asked, verify_direct
from policyd.attestation.findings import State
from policyd.attestation.formats.cosign import read_detached
from policyd.attestation.formats.reading import Piece, add_log_entry, find_claimed_type, read_evidence
from policyd.attestation.formats.rekor import read_rekor_entry
from policyd.attestation.formats.rendering import render_evidence
from policyd.attestation.material import BundleVersion
from policyd.errors import DocumentError, ExitCode, InputTooLarge, PolicydError, UsageError
from tests.attestation.formats.made import (
    FORMS,
    INSTANCE,
    ROOT,
    Form,
    certificate_of,
    cosign_bundle,
    generator_envelope,
    lines,
    npm_answer,
    pem_of,
    pep740,
    pypi_provenance,
    pypi_statement,
    rekor_answer,
    witness_envelope,
)
from tests.attestation.formats.verifying import TRUST, read_pieces, verify_piece
from tests.attestation.keyless.instance import (
    NOW,
    SIGNED_AT,
    LeafOptions,
    Value,
    b64,
    private_key,
    public_pem,
    statement,
)
from tests.attestation.keyless.verifying import failed, file, key_trust

FORM = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


def _number(document: Value, log_entry: Value | None = None) -> int:
    """Return the check that fails for the one piece in a document; 0 if none does, -1 for what can't be read."""
    try:
        (piece,) = read_pieces(document, log_entry)
    except PolicydError:
        return -1
    return failed(verify_piece(piece.bundle))


# --- every form is verified


@FORM
def test_every_form_is_verified(form: Form) -> None:
    (piece,) = read_pieces(form.document, form.log_entry)

    found = verify_piece(piece.bundle)

    assert failed(found) == 0
    assert [check.number for check in found.checks][:10] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_what_it_is_says_the_first_check() -> None:
    def said(document: Value) -> str:
        return verify_piece(read_pieces(document)[0].bundle).checks[0].detail

    assert said(pep740(INSTANCE.bundle(payload=pypi_statement()))) == "a PEP 740 attestation"
    assert said(cosign_bundle(INSTANCE.bundle())) == "cosign's bundle"
    assert said(generator_envelope(INSTANCE.bundle(payload=statement()))) == "a DSSE envelope without a bundle"


def test_every_entry_of_a_file_is_read() -> None:
    first, second = INSTANCE.bundle(payload=statement()), INSTANCE.bundle(payload=statement(b"another"))

    for document in (lines(first, second), npm_answer(first, second), pypi_provenance(first, second)):
        pieces = read_pieces(document)
        assert len(pieces) == 2
        assert all(piece.listed for piece in pieces)
        assert pieces[0].where != pieces[1].where
    assert [failed(verify_piece(piece.bundle, [file()])) for piece in read_pieces(lines(first, second))] == [0, 12]


def test_lines_may_be_of_several_forms_and_end_as_they_like() -> None:
    first, second = INSTANCE.bundle(payload=statement()), INSTANCE.bundle(payload=pypi_statement())
    content = lines(first, pep740(second)).replace(b"\n", b"\r\n") + b"\n\n"

    assert [piece.bundle.form for piece in read_pieces(content)] == ["", "a PEP 740 attestation"]


def test_one_document_over_several_lines_is_one() -> None:
    content = json.dumps(INSTANCE.bundle(payload=statement()), indent=1).encode()

    (piece,) = read_pieces(content)

    assert not piece.listed


def test_the_managed_key_of_a_registry_and_a_keyless_signer_in_one_answer() -> None:
    published = INSTANCE.bundle(payload=statement(predicateType="https://example.com/publish"), managed="npm")
    built = INSTANCE.bundle(payload=statement())
    by_registry, by_builder = read_pieces(npm_answer(published, built))
    npm = key_trust(public_pem(private_key("p256", "npm")), ROOT)

    def number(piece: Piece, trust: Any) -> int:
        return failed(verify_direct(piece.bundle, Asked(trust, ""), [file()], now=NOW, where="x"))

    assert (number(by_registry, npm), number(by_builder, TRUST)) == (0, 0)
    assert (number(by_registry, TRUST), number(by_builder, npm)) == (3, 3)
    assert find_claimed_type(by_registry.bundle) == "https://example.com/publish"


def test_pypi_attestations_makes_the_same_bundle() -> None:
    bundle = INSTANCE.bundle(payload=pypi_statement())
    theirs = PypiAttestation.model_validate(pep740(bundle)).to_bundle().to_json()

    (mine,) = read_pieces(pep740(bundle))
    (other,) = read_pieces(theirs.encode())

    assert (mine.bundle.content, mine.bundle.material) == (other.bundle.content, other.bundle.material)


def test_all_log_entries_of_a_pep_740_attestation_have_to_hold() -> None:
    """pypi-attestations takes the first and leaves the others."""
    attestation = pep740(INSTANCE.bundle(payload=pypi_statement()))
    other = INSTANCE.bundle(payload=pypi_statement("other-1.0.tar.gz"))["verificationMaterial"]["tlogEntries"][0]
    attestation["verification_material"]["transparency_entries"].append(other)

    assert _number(attestation) == 6


# --- signatures that came without their log entry


def test_a_signature_without_its_log_entry_is_refused_and_with_that_of_another_too() -> None:
    mine, other = INSTANCE.bundle(payload=statement()), INSTANCE.bundle(payload=statement(b"another"))

    for form in (generator_envelope(mine), witness_envelope(mine)):
        assert _number(form) == 5
        assert _number(form, rekor_answer(mine)) == 0
        assert _number(form, rekor_answer(other)) == 6


def test_an_entry_of_kind_intoto_is_enough() -> None:
    for version, state in (("0.0.1", State.WEAKENED), ("0.0.2", State.HELD)):
        bundle = INSTANCE.bundle(payload=statement(), entry=("intoto", version))
        (piece,) = read_pieces(generator_envelope(bundle), rekor_answer(bundle))
        found = verify_piece(piece.bundle)

        assert failed(found) == 0
        assert found.checks[5].state is state


def test_a_log_entry_is_of_one_signature() -> None:
    bundle = INSTANCE.bundle(payload=statement())
    answer = rekor_answer(bundle)

    with pytest.raises(UsageError, match="0 signatures"):
        read_pieces(bundle, answer)
    with pytest.raises(UsageError, match="2 signatures"):
        read_pieces(lines(generator_envelope(bundle), witness_envelope(bundle)), answer)


def test_a_timestamp_of_witness_has_to_hold() -> None:
    bundle = INSTANCE.bundle(payload=statement())
    late = witness_envelope(bundle, at=SIGNED_AT.replace(year=2027))

    assert _number(late, rekor_answer(bundle)) == 7


def test_a_signature_and_a_certificate_in_files_of_their_own() -> None:
    bundle = INSTANCE.bundle()
    signature = base64.b64decode(bundle["messageSignature"]["signature"])
    pem = pem_of(certificate_of(bundle))
    entry = read_rekor_entry(json.dumps(rekor_answer(bundle)).encode(), where="entry")

    def number(signature_file: bytes, certificate_file: bytes, content: bytes = b"a release\n") -> int:
        read = read_detached(signature_file, certificate_file, where="sig", certificate_where="pem")
        (piece,) = add_log_entry([Piece("sig", read, listed=False)], entry, where="entry")
        return failed(verify_piece(piece.bundle, [file(content)]))

    for signed in (signature, b64(signature).encode(), b64(signature).encode() + b"\n"):
        for written in (pem, b64(pem).encode() + b"\n"):
            assert number(signed, written) == 0
    assert number(signature, pem, b"another") == 4
    assert number(signature[:-1] + bytes([signature[-1] ^ 1]), pem) == 4


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa3072"])
def test_a_detached_signature_by_a_key_of_every_kind(kind: Any) -> None:
    bundle = INSTANCE.bundle(managed=kind, leaf=LeafOptions(kind=kind))
    signature = base64.b64decode(bundle["messageSignature"]["signature"])
    read = read_detached(signature, None, where="sig", certificate_where="")
    trust = key_trust(public_pem(private_key(kind, kind)))

    def number(content: bytes) -> int:
        return failed(verify_direct(read, Asked(trust), [file(content)], now=NOW, where="sig"))

    assert (number(b"a release\n"), number(b"another")) == (0, 4)


def test_a_runs_plan_in_an_export_is_passed_over_and_no_evidence_alone() -> None:
    plan = {"policyd": "plan/v1", "stages": []}

    (piece,) = read_pieces(lines(plan, INSTANCE.bundle()))

    assert (piece.where, piece.listed) == ("evidence.json, line 2", True)
    for document in (json.dumps(plan).encode(), lines(plan, plan), lines({"policyd": "else"}, INSTANCE.bundle())):
        with pytest.raises(DocumentError, match="no form that is known"):
            read_pieces(document)


def test_cosigns_bundle_promises_as_much_as_v01() -> None:
    document = cosign_bundle(INSTANCE.bundle())

    assert verify_piece(read_pieces(document)[0].bundle).checks[4].state is State.WEAKENED
    found = verify_piece(read_pieces(document)[0].bundle, oldest=BundleVersion.V0_2)
    assert (failed(found), found.exit_code) == (1, ExitCode.REFUSED)
    assert "cosign's bundle" in found.checks[0].detail


def test_cosigns_bundle_with_the_log_entry_of_another() -> None:
    """CVE-2022-36056 was in this very form."""
    mine, other = cosign_bundle(INSTANCE.bundle()), cosign_bundle(INSTANCE.bundle(b"another"))

    assert _number(mine | {"rekorBundle": other["rekorBundle"]}) == 6
    assert _number({key: value for key, value in mine.items() if key != "rekorBundle"}) == 5


# --- every field of every form


def _leaves(value: object, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], object]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for number, item in enumerate(value) for leaf in _leaves(item, (*path, number))]
    return [(path, value)]


def _with(value: Value, path: tuple[Any, ...], other: object) -> Value:
    changed: Any = copy.deepcopy(value)
    part = changed
    for step in path[:-1]:
        part = part[step]
    if other is ...:
        del part[path[-1]]
    else:
        part[path[-1]] = other
    return cast("Value", changed)


def _others(value: object) -> list[object]:
    if isinstance(value, int):
        return [value + 1, str(value + 1), -value, True, None, "", [], {}, ...]
    assert isinstance(value, str)
    middle = len(value) // 2
    flipped = value[:middle] + ("B" if value[middle] != "B" else "C") + value[middle + 1 :]
    first = ("B" if value[:1] != "B" else "C") + value[1:]
    short = value.removesuffix("\n")[:-1]  # PEM may end without a line end
    return [first, flipped, value + "=", short, None, "", 1, [], {}, ...]


@FORM
def test_every_field_changed_is_refused(form: Form) -> None:
    assert _number(form.document, form.log_entry) == 0
    for path, value in _leaves(form.document):
        if form.labels.intersection(path):
            continue
        for other in _others(value):
            # Without its timestamp, witness's envelope has the log's word left.
            if "timestamps" in path and not other:
                continue
            assert _number(_with(form.document, path, other), form.log_entry) != 0, (path, other)


@FORM
def test_what_nobody_signs_changes_nothing(form: Form) -> None:
    for path, _ in _leaves(form.document):
        if form.labels.intersection(path) and "intermediates" not in path:
            assert _number(_with(form.document, path, "something else"), form.log_entry) == 0


def test_every_field_of_a_log_entry_changed_is_refused() -> None:
    bundle = INSTANCE.bundle(payload=statement())
    envelope, answer = generator_envelope(bundle), rekor_answer(bundle)

    assert _number(envelope, answer) == 0
    for path, value in _leaves(answer):
        for other in _others(value):
            if path[-1] != "signedEntryTimestamp" or other is not ...:
                assert _number(envelope, _with(answer, path, other)) != 0, (path, other)


def test_every_bit_of_the_envelope_in_cosigns_bundle_counts() -> None:
    document = cosign_bundle(INSTANCE.bundle(payload=statement()))
    envelope = bytearray(base64.b64decode(document["base64Signature"]))
    for position in range(0, len(envelope), 25):
        changed = bytes(envelope[:position]) + bytes([envelope[position] ^ 1]) + bytes(envelope[position + 1 :])
        number = _number(document | {"base64Signature": b64(changed)})
        # A name of a field that nothing reads (`keyid`) may be another.
        assert number != 0 or b"keyid" not in changed, position


# --- what is no evidence


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"null",
        b"[]",
        b"{}",
        b"1",
        b'"x"',
        b"{}\n{}\n",
        b'{"mediaType": "x", "payloadType": "y"}',
        b'{"attestations": []}',
        b'{"attestations": [null]}',
        b'{"attestations": [{"bundle": null}]}',
        b'{"attestations": {}}',
        b'{"attestation_bundles": []}',
        b'{"version": 1, "attestation_bundles": []}',
        b'{"version": 1, "attestation_bundles": [{"attestations": []}]}',
        b'{"version": 2, "verification_material": {}, "envelope": {}}',
        b'{"version": true, "verification_material": {}, "envelope": {}}',
        b'{"version": 1.0, "verification_material": {}, "envelope": {}}',
        b'{"base64Signature": ""}',
        b'{"base64Signature": "e30="}',
        b'{"base64Signature": "YQ==", "cert": "YQ=="}',
        b'{"base64Signature": "YQ==", "rekorBundle": {}}',
        b'{"payloadType": "x", "payload": "", "signatures": [{"sig": "YQ==", "cert": "x"}]}',
        b'{"payloadType": "x", "payload": "", "signatures": [{"sig": "YQ==", "cert": "x", "certificate": "x"}]}',
        b'{"payloadType": "x", "payload": "", "signatures": [{"sig": "YQ==", "timestamps": [{"type": "x"}]}]}',
        b'{"payloadType": "x", "payloadType": "x"}',
        b"\xff",
        b"[" * 100_000,
        b'{"attestations": [' + b'{"bundle": ' * 30 + b"}" * 30 + b"]}",
    ],
)
def test_what_is_no_evidence_is_an_error_that_says_so(content: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        read_evidence(content, where="evidence.json")

    assert caught.value.exit_code == 2
    assert caught.value.where.startswith("evidence.json")


def test_one_line_that_can_not_be_read_spoils_the_file() -> None:
    good = INSTANCE.bundle(payload=statement())

    with pytest.raises(DocumentError) as caught:
        read_evidence(lines(good, {"mediaType": "x"}), where="evidence.jsonl")

    assert caught.value.where == "evidence.jsonl, line 2"


def test_more_entries_than_any_file_has() -> None:
    good = INSTANCE.bundle(payload=statement())

    for content in (b'{"mediaType": "x"}\n' * 1001, lines(npm_answer(*[good] * 40), *[npm_answer(*[good] * 40)] * 25)):
        with pytest.raises(InputTooLarge, match="more than 1000"):
            read_evidence(content, where="evidence.jsonl")


@pytest.mark.parametrize("content", [b"", b"not base64!", b"YQ", b"A" * 9000, b"YQ==\n\n"], ids=range(5))
def test_files_that_are_no_signature(content: bytes) -> None:
    with pytest.raises(DocumentError):
        read_detached(content, None, where="sig", certificate_where="")


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: b"",
        lambda pem: b"\xff" + pem,
        lambda pem: b"junk\n" + pem,
        lambda pem: pem + b"junk",
        lambda pem: pem.replace(b"CERTIFICATE", b"PRIVATE KEY"),
        lambda pem: pem.replace(b"END CERTIFICATE", b"END PUBLIC KEY"),
        lambda pem: public_pem(private_key("p256", "x")).encode(),
        lambda pem: pem * 9,
        lambda pem: pem * 200,
    ],
    ids=range(9),
)
def test_files_that_are_no_certificate(change: Any) -> None:
    pem = pem_of(certificate_of(INSTANCE.bundle()))

    with pytest.raises(DocumentError):
        read_detached(b"YQ==", change(pem), where="sig", certificate_where="pem")


@pytest.mark.parametrize(
    "content", [b"null", b"{}", b"[]", b'{"a": {}, "b": {}}', b'{"a": null}', b'{"a": {"body": 1}}']
)
def test_what_is_no_log_entry(content: bytes) -> None:
    with pytest.raises(DocumentError):
        read_rekor_entry(content, where="entry.json")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.just("YQ=="),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(form=st.sampled_from(FORMS), position=st.integers(0, 200), other=_JSON)
def test_any_value_anywhere_gives_evidence_or_an_error_of_ours(form: Form, position: int, other: object) -> None:
    leaves = _leaves(form.document)
    path, value = leaves[position % len(leaves)]
    if form.labels.intersection(path) or value == other:
        return
    for step in range(1, len(path) + 1):
        _number(_with(form.document, path[:step], other), form.log_entry)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_evidence_or_an_error_of_ours(content: bytes) -> None:
    with suppress(DocumentError):
        assert read_evidence(content, where="x")


# --- as policyd keeps it


@FORM
def test_what_is_kept_verifies_as_what_came(form: Form) -> None:
    (piece,) = read_pieces(form.document, form.log_entry)

    kept = render_evidence(piece.bundle, file().digests)
    (again,) = read_pieces(kept)

    first, second = verify_piece(piece.bundle), verify_piece(again.bundle)
    assert (failed(first), failed(second)) == (0, 0)
    assert (first.signer, first.times, first.log_entries) == (second.signer, second.times, second.log_entries)
    assert render_evidence(again.bundle) == kept
    assert again.bundle.material == piece.bundle.material
    assert kept.count(b"\n") == 1


def test_an_envelope_that_brings_nothing_is_kept_as_one() -> None:
    envelope = INSTANCE.bundle(payload=statement())["dsseEnvelope"]
    twice = envelope | {"signatures": envelope["signatures"] * 2}

    for value in (envelope, twice):
        (piece,) = read_pieces(value)
        assert "payloadType" in json.loads(render_evidence(piece.bundle))


def test_every_version_and_entry_is_kept() -> None:
    for version in ("0.1", "0.2", "0.3"):
        (piece,) = read_pieces(INSTANCE.bundle(payload=statement(), version=version, stamps=[SIGNED_AT]))
        (again,) = read_pieces(render_evidence(piece.bundle))
        assert (again.bundle.content, again.bundle.material) == (piece.bundle.content, piece.bundle.material)
        assert again.bundle.version is piece.bundle.version
