"""Fuzz a parser of verification material: `python -m tests.fuzz.verifying PARSER [-runs=N] [CORPUS…]`.

Whatever the bytes are, they give a value or an error of policyd. Inputs grow from real documents. Anything else is a
crash, which libFuzzer writes to a file and exits with; `-max_total_time=600` looks longer.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import atheris
from cryptography.hazmat.primitives.serialization import Encoding

with atheris.instrument_imports(include=["policyd.attestation", "policyd.models.strict_json", "policyd.record"]):
    from policyd.attestation.bundle import read_bundle
    from policyd.attestation.direct import ArtifactFile, Asked, IdentityTrust, verify_direct
    from policyd.attestation.dsse import read_envelope
    from policyd.attestation.formats.reading import read_evidence
    from policyd.attestation.formats.rekor import read_rekor_entry
    from policyd.attestation.formats.rendering import render_evidence
    from policyd.attestation.keyless.client_config import join_client_config, read_client_config
    from policyd.attestation.keyless.identity import AskedIdentity
    from policyd.attestation.keyless.leaf import read_leaf
    from policyd.attestation.keyless.token import read_identity_token
    from policyd.attestation.keyless.trusted_root import read_trusted_root
    from policyd.attestation.material import BundleVersion
    from policyd.attestation.referrers import MANIFEST, read_bundle_manifest, read_referrers, read_subject
    from policyd.attestation.subjects import read_statement
    from policyd.attestation.timestamps import verify_time

from policyd.adapters.npm_tarball import read_npm_package
from policyd.errors import PolicydError
from tests.attestation.formats.made import FORMS, lines, rekor_answer
from tests.attestation.keyless.instance import (
    IDENTITY,
    ISSUER,
    SIGNED_AT,
    Instance,
    LeafOptions,
    private_key,
    statement,
)
from tests.registry import BUNDLE, INDEX, image_manifest

INSTANCE = Instance()
ROOT = json.dumps(INSTANCE.trusted_root()).encode()
TRUST = IdentityTrust(AskedIdentity(issuer=ISSUER, exact=IDENTITY), read_trusted_root(ROOT, where="root"))
FILE = ArtifactFile("x", {"sha256": bytes(32)})
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def _bundle(content: bytes) -> None:
    bundle = read_bundle(content, where="fuzz", oldest=BundleVersion.V0_1)
    verify_direct(bundle, Asked(TRUST, ""), [FILE], now=NOW, where="fuzz")


def _evidence(content: bytes) -> None:
    for piece in read_evidence(content, where="fuzz"):
        verify_direct(piece.bundle, Asked(TRUST, ""), [FILE], now=NOW, where="fuzz")
        read_evidence(render_evidence(piece.bundle), where="fuzz")


def _documents() -> list[bytes]:
    documents = [form.document for form in FORMS]
    return [*(json.dumps(document).encode() for document in documents), lines(*documents)]


def _tarballs() -> list[bytes]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/package.json")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    return [stream.getvalue()]


def _trust_configs() -> list[bytes]:
    service = {"url": "https://a.example.com", "majorApiVersion": 1}
    signing = {"caUrls": [service], "rekorTlogUrls": [service], "tsaUrls": [service]}
    return [join_client_config(INSTANCE.trusted_root(), signing)]


def _token(content: bytes) -> None:
    read_identity_token(content.decode("ascii", "replace"), now=NOW, where="fuzz")


def _tokens() -> list[bytes]:
    claims = {"iss": ISSUER, "aud": "sigstore", "sub": "a", "exp": 2**31}
    return [b"e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=") + b".e30"]


def _timestamp(content: bytes) -> None:
    verify_time(content, b"signature", TRUST.root.timestamp_authorities)


def _bundles() -> list[bytes]:
    made = [
        INSTANCE.bundle(stamps=[SIGNED_AT]),
        INSTANCE.bundle(payload=statement(), version="0.2"),
        INSTANCE.bundle(payload=statement(), entry=("hashedrekord", "0.0.2")),
    ]
    return [json.dumps(one).encode() for one in made]


def _registry(content: bytes) -> None:
    for read in (
        lambda: read_subject(content, MANIFEST, where="fuzz"),
        lambda: read_referrers(content, where="fuzz"),
        lambda: read_bundle_manifest(content, "0" * 64, where="fuzz"),
    ):
        with contextlib.suppress(PolicydError):
            read()


def _manifests() -> list[bytes]:
    entry = {"mediaType": BUNDLE, "artifactType": BUNDLE, "digest": f"sha256:{'0' * 64}", "size": 1}
    return [
        image_manifest()[0],
        json.dumps({"mediaType": INDEX, "manifests": [entry]}).encode(),
        json.dumps({"mediaType": MANIFEST, "layers": [entry], "subject": entry}).encode(),
    ]


def _leaves() -> list[bytes]:

    return [INSTANCE.certificates.issue(LeafOptions(), private_key("p256", "leaf")).public_bytes(Encoding.DER)]


PARSERS: dict[str, tuple[Callable[[bytes], object], Callable[[], list[bytes]]]] = {
    "bundle": (_bundle, _bundles),
    "trust-config": (lambda content: read_client_config(content, where="fuzz"), _trust_configs),
    "identity-token": (_token, _tokens),
    "trusted-root": (lambda content: read_trusted_root(content, where="fuzz"), lambda: [ROOT]),
    "envelope": (
        lambda content: read_envelope(content, where="fuzz"),
        lambda: [json.dumps(INSTANCE.bundle(payload=statement())["dsseEnvelope"]).encode()],
    ),
    "statement": (lambda content: read_statement(content, where="fuzz"), lambda: [statement()]),
    "certificate": (lambda content: read_leaf(content, where="fuzz"), _leaves),
    "evidence": (_evidence, _documents),
    "log-entry": (
        lambda content: read_rekor_entry(content, where="fuzz"),
        lambda: [json.dumps(rekor_answer(INSTANCE.bundle())).encode()],
    ),
    "npm-tarball": (lambda content: read_npm_package(io.BytesIO(content).read), _tarballs),
    "registry": (_registry, _manifests),
    "timestamp": (_timestamp, lambda: [INSTANCE.clock.stamp(b"signature", SIGNED_AT)]),
}


def main(arguments: list[str]) -> None:
    """Fuzz the parser named first until libFuzzer is content; it ends the process itself."""
    name, *options = arguments
    parse, seeds = PARSERS[name]

    def one(content: bytes) -> None:
        with contextlib.suppress(PolicydError):
            parse(content)

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], corpus, *options], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
