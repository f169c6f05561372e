"""Fuzz a parser of verification material: `python -m tests.fuzz.verifying PARSER [-runs=N] [CORPUS…]`.

Whatever the bytes are, they give a value or an error of policyd. Inputs grow from real documents. Anything else is a
crash, which libFuzzer writes to a file and exits with; `-max_total_time=600` looks longer.
"""

from __future__ import annotations

import contextlib
import json
import sys
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
    from policyd.attestation.keyless.identity import AskedIdentity
    from policyd.attestation.keyless.leaf import read_leaf
    from policyd.attestation.keyless.trusted_root import read_trusted_root
    from policyd.attestation.material import BundleVersion
    from policyd.attestation.subjects import read_statement
    from policyd.attestation.timestamps import verify_time

from policyd.errors import PolicydError
from tests.attestation.keyless.instance import (
    IDENTITY,
    ISSUER,
    SIGNED_AT,
    Instance,
    LeafOptions,
    private_key,
    statement,
)

INSTANCE = Instance()
ROOT = json.dumps(INSTANCE.trusted_root()).encode()
TRUST = IdentityTrust(AskedIdentity(issuer=ISSUER, exact=IDENTITY), read_trusted_root(ROOT, where="root"))
FILE = ArtifactFile("x", {"sha256": bytes(32)})
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def _bundle(content: bytes) -> None:
    bundle = read_bundle(content, where="fuzz", oldest=BundleVersion.V0_1)
    verify_direct(bundle, Asked(TRUST, ""), [FILE], now=NOW, where="fuzz")


def _timestamp(content: bytes) -> None:
    verify_time(content, b"signature", TRUST.root.timestamp_authorities)


def _bundles() -> list[bytes]:
    made = [
        INSTANCE.bundle(stamps=[SIGNED_AT]),
        INSTANCE.bundle(payload=statement(), version="0.2"),
        INSTANCE.bundle(payload=statement(), entry=("hashedrekord", "0.0.2")),
    ]
    return [json.dumps(one).encode() for one in made]


def _leaves() -> list[bytes]:

    return [INSTANCE.certificates.issue(LeafOptions(), private_key("p256", "leaf")).public_bytes(Encoding.DER)]


PARSERS: dict[str, tuple[Callable[[bytes], object], Callable[[], list[bytes]]]] = {
    "bundle": (_bundle, _bundles),
    "trusted-root": (lambda content: read_trusted_root(content, where="fuzz"), lambda: [ROOT]),
    "envelope": (
        lambda content: read_envelope(content, where="fuzz"),
        lambda: [json.dumps(INSTANCE.bundle(payload=statement())["dsseEnvelope"]).encode()],
    ),
    "statement": (lambda content: read_statement(content, where="fuzz"), lambda: [statement()]),
    "certificate": (lambda content: read_leaf(content, where="fuzz"), _leaves),
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
