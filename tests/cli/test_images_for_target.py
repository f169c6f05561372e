"""`policyd verify oci://…` by operator settings: an image that a run made, by the store or by what lies beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from policyd.adapters.signers.keyfile import KeyFileSigner
from policyd.app.images import fetch_subject, push_bundle
from policyd.attestation.image_reference import read_image_reference
from policyd.attestation.statements import Named, render_statement, sign_statement
from tests.cli.workshop import Workshop, open_workshop
from tests.registry import MANIFEST, Registry, image_manifest, running_registry

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shipped:
    """A workshop whose run made the manifest of an image, and a registry that has it."""

    shop: Workshop
    registry: Registry
    image: str
    summary: bytes

    def push(self, bundle: bytes) -> None:
        reference = read_image_reference(self.image)
        push_bundle(reference, fetch_subject(reference), bundle, now=NOW)


def _manifest() -> tuple[bytes, bytes, bytes]:
    manifest, configuration, layer = image_manifest()
    said = {**json.loads(manifest), "annotations": {"org.opencontainers.image.title": "hello"}}
    return json.dumps(said).encode(), configuration, layer


@pytest.fixture
def shipped(docker_registry: Path, bwrap: Path, tmp_path: Path) -> Iterator[Shipped]:
    manifest, *blobs = _manifest()
    with open_workshop() as shop, running_registry(docker_registry, tmp_path) as registry:
        (shop.project / "data.txt").write_bytes(manifest)
        run = shop.policyd("run", "pipeline.yaml", "--format", "json").require(0).json
        digest = registry.push("acme/app", manifest, *blobs, media_type=MANIFEST)
        summary = shop.object(run["released"][0]["summary_sha256"]).read_bytes()
        yield Shipped(shop, registry, f"oci://{registry.host}/acme/app@{digest}", summary)


def test_an_image_is_verified_by_the_store_by_its_summary_and_never_by_another(shipped: Shipped, bwrap: Path) -> None:
    shop = shipped.shop

    # 1. What the store records of its digest.
    said = shop.call("verify", shipped.image).require(0)
    assert said.out.splitlines()[-1].startswith(f"verified  {shipped.image.removeprefix('oci://').partition('@')[0]}")

    # 2. The summary beside it, which needs no store.
    shipped.push(shipped.summary)
    said = shop.call("verify", shipped.image).require(0)
    assert "the verification summary holds: policyd://local/" in said.out

    # What somebody else pushed beside it is told, and takes nothing away: anybody who may push could.
    stranger = KeyFileSigner(ec.generate_private_key(ec.SECP256R1()))
    of = Named("app", shipped.image.rpartition("sha256:")[2])
    shipped.push(sign_statement(render_statement([of], "https://example.com/x/v1", {"a": "b"}), stranger))
    said = shop.call("verify", shipped.image).require(0)
    assert "nobody whom the trust policy lists signed it" in " ".join(said.out.split())

    # 3. An image that no run made, though the registry has it.
    other = shipped.registry.push_image(text="made elsewhere")
    shop.call("verify", other).require(1).require_error("no run in the store made")

    # 4. Somebody else's summary of the very same image.
    with open_workshop() as theirs:
        (theirs.project / "data.txt").write_bytes(_manifest()[0])
        run = theirs.policyd("run", "pipeline.yaml", "--format", "json").require(0).json
        shipped.push(theirs.object(run["released"][0]["summary_sha256"]).read_bytes())
    shop.call("verify", shipped.image).require(1)

    # 5. A registry that is not there, though the store has all that is needed: it was asked for.
    gone = shipped.image.replace(shipped.registry.host, "127.0.0.1:1")
    shop.call("verify", gone).require(3).require_error("can't be asked")
