"""Images in registries, by digest, with the bundles that refer to them: fetched, and pushed.

Only for a registry that a person named. What comes back was compared with its digest and is otherwise unverified:
whoever may push to a repository may push anything that refers to the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from policyd.attestation.bundle import read_bundle
from policyd.attestation.formats.reading import find_claimed_type
from policyd.attestation.image_reference import ImageReference
from policyd.attestation.material import BundleVersion
from policyd.attestation.referrers import (
    Descriptor,
    read_bundle_manifest,
    read_subject,
    render_bundle_manifest,
)
from policyd.errors import DocumentError, InputTooLarge, PolicydError, RegistryError

if TYPE_CHECKING:
    from policyd.adapters.registries.client import RegistryClient

#: A bundle with an SBOM has some megabytes.
MAX_BUNDLE_BYTES = 16 * 1024 * 1024
MAX_BUNDLE_BYTES_TOTAL = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReferringBundle:
    """A bundle that refers to an image: its bytes, or why it is none. `name` is its manifest's digest."""

    name: str
    content: bytes = b""
    problem: PolicydError | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image as its registry has it: `manifest` has the digest that was asked for."""

    reference: ImageReference
    manifest: bytes
    subject: Descriptor
    bundles: tuple[ReferringBundle, ...]


def fetch_image(reference: ImageReference, *, allow_http: bool = False) -> Image:
    """Return the image and every bundle that its registry lists for it, in the registry's order.

    Raises `RegistryError` where the registry can't be asked, contradicts itself or a digest, or goes beyond a bound.
    Something that was pushed and is no bundle of this image is listed with its problem.
    """
    from policyd.adapters.registries.client import RegistryClient, within_deadline

    def fetch() -> Image:
        client = RegistryClient(reference, allow_http=allow_http)
        manifest, subject = _fetch_subject(client)
        bundles: list[ReferringBundle] = []
        total = 0
        for listed in client.list_referrers():
            found = _fetch_bundle(client, listed)
            total += len(found.content)
            if total > MAX_BUNDLE_BYTES_TOTAL:
                raise RegistryError(
                    f"the bundles have more than {MAX_BUNDLE_BYTES_TOTAL} bytes together",
                    where=str(reference),
                    fix="fetch the bundle that you want by its digest, and name it with --bundle",
                )
            bundles.append(found)
        return Image(reference, manifest, subject, tuple(bundles))

    return within_deadline(fetch, where=str(reference))


def fetch_subject(reference: ImageReference, *, allow_http: bool = False) -> Descriptor:
    """Return what the registry has under the digest, compared with it: what a bundle will refer to."""
    from policyd.adapters.registries.client import RegistryClient, within_deadline

    client = RegistryClient(reference, allow_http=allow_http)
    return within_deadline(lambda: _fetch_subject(client)[1], where=str(reference))


def push_bundle(
    reference: ImageReference, subject: Descriptor, bundle: bytes, *, now: datetime, allow_http: bool = False
) -> str:
    """Push a Sigstore bundle so that it refers to the image; return the digest of the manifest that holds it."""
    from policyd.adapters.registries.client import RegistryClient, within_deadline

    where = str(reference)
    parsed = read_bundle(bundle, where=where, oldest=BundleVersion.V0_3)
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise InputTooLarge(
            f"the bundle is larger than the {MAX_BUNDLE_BYTES} bytes that are fetched again",
            where=where,
            fix="keep what it says beside the image, and attest to its digest",
        )
    predicate_type = find_claimed_type(parsed)
    manifest = render_bundle_manifest(parsed, bundle, subject, predicate_type=predicate_type, created=now)
    client = RegistryClient(reference, allow_http=allow_http)
    return within_deadline(lambda: client.push_referrer(manifest, bundle), where=where)


def _fetch_subject(client: RegistryClient) -> tuple[bytes, Descriptor]:
    content, media_type = client.fetch_manifest()
    try:
        return content, read_subject(content, media_type, where=str(client.reference))
    except DocumentError as error:
        raise RegistryError(error.cause, where=error.where, fix=error.fix) from error


def _fetch_bundle(client: RegistryClient, listed: Descriptor) -> ReferringBundle:
    manifest = client.fetch_referrer(listed)
    try:
        layer = read_bundle_manifest(manifest, client.reference.sha256, where=listed.digest)
        if layer.size > MAX_BUNDLE_BYTES:
            raise InputTooLarge(
                f"it has {layer.size} bytes, and {MAX_BUNDLE_BYTES} are fetched",
                where=listed.digest,
                fix="fetch it yourself and name it with --bundle",
            )
    except DocumentError as error:
        return ReferringBundle(listed.digest, problem=error)
    return ReferringBundle(listed.digest, client.fetch_blob(layer, max_bytes=MAX_BUNDLE_BYTES))
