from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.bundle import Bundle, read_bundle
from policyd.attestation.material import BundleVersion
from policyd.errors import DocumentError, PolicydError
from tests.attestation.keyless.instance import SIGNED_AT, Instance, Value, b64, statement

INSTANCE = Instance()
BUNDLE = INSTANCE.bundle(stamps=[SIGNED_AT])
ATTESTATION = INSTANCE.bundle(payload=statement(), version="0.2")
OLDEST = BundleVersion.V0_1


def _read(value: object, oldest: BundleVersion = OLDEST) -> Bundle:
    return read_bundle(json.dumps(value).encode(), where="bundle.json", oldest=oldest)


def _with(path: str, value: object, bundle: Value = BUNDLE) -> Value:
    """Return the bundle with another value at a dotted path below verificationMaterial."""
    changed: Any = copy.deepcopy(bundle)
    part = changed["verificationMaterial"]
    *steps, last = path.split(".")
    for step in steps:
        part = part[int(step) if step.isdecimal() else step]
    part[last] = value
    assert isinstance(changed, dict)
    return changed


def test_everything_a_bundle_brings_is_read() -> None:
    bundle = _read(BUNDLE)

    assert bundle.version is BundleVersion.V0_3
    assert len(bundle.material.certificates) == 1
    assert len(bundle.timestamps) == 1
    (entry,) = bundle.material.entries
    assert (entry.kind, entry.version) == ("hashedrekord", "0.0.1")
    assert entry.integrated_time == int(SIGNED_AT.timestamp())
    assert entry.proof is not None
    assert entry.proof.tree_size == 5


@pytest.mark.parametrize("version", list(BundleVersion))
def test_a_bundle_older_than_asked_for_is_refused(version: BundleVersion) -> None:
    for oldest in BundleVersion:
        bundle = INSTANCE.bundle(version=str(version).removeprefix("v"))
        with pytest.raises(DocumentError) if version < oldest else contextlib.nullcontext():
            assert _read(bundle, oldest).version is version


@pytest.mark.parametrize(
    ("part", "second"),
    [
        (("dsse_envelope",), "dsse_envelope"),
        (("messageSignature", "message_digest"), "message_digest"),
        (("verificationMaterial", "public_key"), "public_key"),
        (("verificationMaterial", "tlogEntries", 0, "log_id"), "log_id"),
    ],
)
def test_a_field_under_its_second_name_is_refused(part: tuple[str | int, ...], second: str) -> None:
    """protobuf's JSON has two names for it: what this tool passes over would be what the next one verifies."""
    bundle: Any = copy.deepcopy(BUNDLE)
    value = bundle
    for step in part[:-1]:
        value = value[step]
    value[second] = {}

    with pytest.raises(DocumentError, match=second):
        _read(bundle)


def test_by_default_only_the_newest_version_is_read() -> None:
    with pytest.raises(DocumentError):
        read_bundle(json.dumps(ATTESTATION).encode(), where="bundle.json")


@pytest.mark.parametrize(("path", "default"), [("tlogEntries.0.logIndex", 0), ("tlogEntries.0.integratedTime", None)])
def test_a_number_may_be_a_number_a_string_or_left_out_for_zero(path: str, default: object) -> None:
    field = {"logIndex": "log_index", "integratedTime": "integrated_time"}[path.rpartition(".")[2]]
    for written, expected in (("7", 7), (7, 7), ("0", default), (0, default)):
        assert getattr(_read(_with(path, written)).material.entries[0], field) == expected
    without = _with(path, "1")
    del without["verificationMaterial"]["tlogEntries"][0][path.rpartition(".")[2]]
    assert getattr(_read(without).material.entries[0], field) == default


@pytest.mark.parametrize("path", ["timestampVerificationData", "tlogEntries.0.inclusionPromise", "tlogEntries"])
def test_null_is_nothing_for_what_may_be_missing(path: str) -> None:
    """proto3 JSON says so."""
    assert _read(_with(path, None))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("certificate", None),
        ("certificate", []),
        ("certificate", {}),
        ("certificate.rawBytes", ""),
        ("certificate.rawBytes", "AAA"),
        ("certificate.rawBytes", "AA==\n"),
        ("certificate.rawBytes", b64(bytes(40_000))),
        ("publicKey", {"hint": "x"}),
        ("x509CertificateChain", {"certificates": [{"rawBytes": "AAAA"}]}),
        ("tlogEntries", {}),
        ("tlogEntries", [None]),
        ("tlogEntries", [BUNDLE["verificationMaterial"]["tlogEntries"][0]] * 9),
        ("tlogEntries.0.logIndex", "-1"),
        ("tlogEntries.0.logIndex", -1),
        ("tlogEntries.0.logIndex", "01"),
        ("tlogEntries.0.logIndex", "1.0"),
        ("tlogEntries.0.logIndex", 1.0),
        ("tlogEntries.0.logIndex", True),
        ("tlogEntries.0.logIndex", "٣"),
        ("tlogEntries.0.logIndex", str(2**63)),
        ("tlogEntries.0.logIndex", None),
        ("tlogEntries.0.logId", None),
        ("tlogEntries.0.logId.keyId", ""),
        ("tlogEntries.0.kindVersion", None),
        ("tlogEntries.0.kindVersion.kind", ""),
        ("tlogEntries.0.kindVersion.version", 1),
        ("tlogEntries.0.kindVersion.kind", "x" * 65),
        ("tlogEntries.0.integratedTime", "now"),
        ("tlogEntries.0.inclusionPromise", []),
        ("tlogEntries.0.inclusionPromise.signedEntryTimestamp", None),
        ("tlogEntries.0.inclusionProof", []),
        ("tlogEntries.0.inclusionProof.rootHash", None),
        ("tlogEntries.0.inclusionProof.treeSize", None),
        ("tlogEntries.0.inclusionProof.hashes", "AAAA"),
        ("tlogEntries.0.inclusionProof.hashes", ["AAAA"] * 65),
        ("tlogEntries.0.inclusionProof.hashes", [None]),
        ("tlogEntries.0.inclusionProof.checkpoint", None),
        ("tlogEntries.0.inclusionProof.checkpoint.envelope", ""),
        ("tlogEntries.0.inclusionProof.checkpoint.envelope", "x" * 20_000),
        ("tlogEntries.0.canonicalizedBody", None),
        ("tlogEntries.0.canonicalizedBody", ""),
        ("timestampVerificationData", []),
        ("timestampVerificationData.rfc3161Timestamps", {}),
        ("timestampVerificationData.rfc3161Timestamps", [{"signedTimestamp": "AAAA"}] * 9),
        ("timestampVerificationData.rfc3161Timestamps", ["AAAA"]),
        ("timestampVerificationData.rfc3161Timestamps", [{"signedTimestamp": ""}]),
    ],
)
def test_material_of_another_form_is_refused(path: str, value: object) -> None:
    changed = _with(path, value)
    if path == "certificate" and value is None:
        changed["verificationMaterial"] = None
    with pytest.raises(DocumentError):
        _read(changed)


def test_a_chain_is_of_the_older_versions_and_a_certificate_of_the_newest() -> None:
    certificate = BUNDLE["verificationMaterial"]["certificate"]
    newer = _with("x509CertificateChain", {"certificates": [certificate]})
    del newer["verificationMaterial"]["certificate"]
    older = _with("certificate", certificate, ATTESTATION)
    del older["verificationMaterial"]["x509CertificateChain"]
    both = _with("x509CertificateChain", {"certificates": [certificate]}, BUNDLE)
    empty = _with("x509CertificateChain", {"certificates": []}, ATTESTATION)
    many = _with("x509CertificateChain", {"certificates": [certificate] * 9}, ATTESTATION)

    for bundle in (newer, older, both, empty, many):
        with pytest.raises(DocumentError):
            _read(bundle)


@pytest.mark.parametrize("content", [b"null", b"", b"[]", b"{}", b"1", b'""', b"\xff", b'{"mediaType": null}'])
def test_what_makes_other_tools_panic_is_an_error_of_ours(content: bytes) -> None:
    with pytest.raises(DocumentError):
        read_bundle(content, where="x", oldest=OLDEST)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("AAAA"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["keyId", "rawBytes", "hint"]), inner),
    max_leaves=5,
)
PATHS = st.sampled_from(
    [
        "certificate",
        "certificate.rawBytes",
        "tlogEntries",
        "tlogEntries.0",
        "tlogEntries.0.logId",
        "tlogEntries.0.logIndex",
        "tlogEntries.0.kindVersion",
        "tlogEntries.0.inclusionProof.hashes",
        "tlogEntries.0.inclusionProof.checkpoint",
        "timestampVerificationData.rfc3161Timestamps",
    ]
)


@given(PATHS, JSON)
def test_any_value_anywhere_gives_a_bundle_or_an_error_of_ours(path: str, value: object) -> None:
    changed: Any = copy.deepcopy(BUNDLE)
    part = changed["verificationMaterial"]
    *steps, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    for step in steps:
        part = part[step]
    part[last] = value
    with contextlib.suppress(PolicydError):
        _read(changed)
