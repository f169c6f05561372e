"""`policyd verify oci://…`: an image by the bundles in its registry, by trust given directly or by operator settings.

Whoever may push to a repository may push bundles that refer to the image: other signers', other types, rubbish. So
here, unlike with bundles that a person names, one bundle that holds is enough, and those that do not are listed and
take nothing away. Who can only add bundles gains nothing by it; who can take them away could do that anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from policyd.adapters.artifacts import names_digest
from policyd.adapters.settings import require_authority
from policyd.app.images import MAX_BUNDLE_BYTES, Image, ReferringBundle, fetch_image
from policyd.app.verify import Verified, choose_target, verify_digest
from policyd.app.verify_direct import (
    MESSAGE_SIGNATURE,
    DirectAnswer,
    Evidence,
    LeftOut,
    VerifiedBundle,
    bundle_to_json,
    describe_trust,
    error_to_json,
    verify_directly,
)
from policyd.attestation.bundle import Bundle, read_bundle
from policyd.attestation.direct import ArtifactFile, Asked, needed_digests, verify_direct
from policyd.attestation.dsse import PAE_START, Envelope
from policyd.attestation.findings import CHECKS, DirectCheck, DirectVerification, State
from policyd.attestation.formats.reading import find_claimed_type
from policyd.attestation.image_reference import ImageReference
from policyd.attestation.keys import DigestName
from policyd.attestation.material import BundleVersion
from policyd.attestation.subjects import MAX_DEPTH
from policyd.errors import DocumentError, ExitCode, PolicydError, UsageError, VerificationFailed
from policyd.models.statement import COSIGN_SIGN_V1, VSA_V1
from policyd.models.strict_json import read_json


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """The answer about an image. `bundles` are those of what was asked for, `left_out` those of other types."""

    reference: ImageReference
    media_type: str
    trust: str
    bundles: tuple[VerifiedBundle, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def verified(self) -> bool:
        """True where a bundle held in every check that applies."""
        return any(bundle.found.verified for bundle in self.bundles)

    @property
    def exit_code(self) -> ExitCode:
        """Zero where a bundle held. What somebody pushed that can't be read is refused like any other."""
        return ExitCode.OK if self.verified else ExitCode.REFUSED

    @property
    def artifact(self) -> str:
        """What was verified, as a person writes it."""
        return str(self.reference)

    @property
    def checks(self) -> tuple[DirectCheck, ...]:
        """None but those of its bundles."""
        return ()

    @property
    def first_error(self) -> PolicydError | None:
        """Why the image is not verified: of one bundle its own error, else how many there were."""
        if self.verified:
            return None
        where = str(self.reference)
        if not self.bundles:
            others = f"; {len(self.left_out)} of other types" if self.left_out else ""
            return VerificationFailed(
                f"the registry has no bundle of what was asked for{others}",
                where=where,
                fix="have it signed; for an attestation say which with --type; for evidence elsewhere use --bundle",
            )
        first = self.bundles[0].found.error
        if len(self.bundles) == 1 and first is not None:
            return VerificationFailed(first.cause, where=f"{where}, bundle {first.where}", fix=first.fix)
        return VerificationFailed(
            f"none of {len(self.bundles)} bundles holds",
            where=where,
            fix="check that the key or identity is the signer's; each bundle's failed check is listed",
        )

    def to_json(self) -> dict[str, object]:
        """Return the answer as `--format json` prints it."""
        return {
            "schema": "policyd.verify-image/v1",
            "image": {
                "reference": str(self.reference),
                "registry": self.reference.registry,
                "repository": self.reference.repository,
                "sha256": self.reference.sha256,
                "media_type": self.media_type,
            },
            "trust": self.trust,
            "verified": self.verified,
            "exit_code": int(self.exit_code),
            "bundles": [bundle_to_json(bundle) for bundle in self.bundles],
            "left_out": [{"bundle": one.path, "predicate_type": one.predicate_type} for one in self.left_out],
            "error": error_to_json(self.first_error),
        }


def verify_image(
    reference: ImageReference, *, asked: Asked, now: Callable[[], datetime], allow_http: bool = False
) -> ImageAnswer:
    """Fetch the image and what refers to it, and verify each bundle of what is asked for, by the twelve checks.

    Without a predicate type that is the image's signature: cosign's statement for one, or a signature of the manifest's
    bytes. Raises `RegistryError` where the registry leaves the question open.
    """
    image = fetch_image(reference, allow_http=allow_http)
    moment = now()
    bundles: list[VerifiedBundle] = []
    left_out: list[LeftOut] = []
    for referring in image.bundles:
        bundle = _read(referring, asked)
        if isinstance(bundle, PolicydError):
            bundles.append(VerifiedBundle(referring.name, _unreadable(bundle)))
        elif not _is_asked_for(bundle, asked):
            left_out.append(LeftOut(referring.name, find_claimed_type(bundle) or MESSAGE_SIGNATURE))
        else:
            asked_here = replace(asked, predicate_type=_type_to_ask(bundle, asked))
            manifest = _hash(image, needed_digests(bundle, asked_here)[0])
            found = verify_direct(bundle, asked_here, [manifest], now=moment, where=referring.name)
            bundles.append(VerifiedBundle(referring.name, found))
    return ImageAnswer(reference, image.subject.media_type, describe_trust(asked), tuple(bundles), tuple(left_out))


def verify_image_by(
    reference: ImageReference, evidence: Evidence, *, asked: Asked, now: Callable[[], datetime]
) -> DirectAnswer:
    """Verify an image by evidence that was named: its digest is all that is needed, and no registry is asked."""
    if not names_digest(reference.digest):
        # Else that file would be what is verified.
        raise UsageError("a file has the digest for its name", where=reference.digest, fix="work in another folder")
    if asked.predicate_type is None:
        asked = replace(asked, predicate_type=COSIGN_SIGN_V1)
    return verify_directly(reference.digest, evidence=evidence, asked=asked, now=now)


def verify_image_for_target(
    reference: ImageReference,
    *,
    settings: Path | None,
    target: str | None,
    bundles: Sequence[Path],
    now: Callable[[], datetime],
    engine: str | None,
    allow_http: bool = False,
) -> Verified:
    """Verify an image for a target by operator settings: over `bundles`, else over what its registry has for it.

    What this policyd's own store records of the image counts as it does for a file, whatever the registry has.
    """
    authority = require_authority(settings, repository=None)
    uri = authority.settings.targets[choose_target(target, authority)].uri

    def verify(paths: Sequence[Path]) -> Verified:
        name, sha256 = reference.name, reference.sha256
        return verify_digest(
            name,
            sha256,
            settings=settings,
            target=target,
            bundles=paths,
            now=now,
            engine=engine,
            are_found=not bundles,
        )

    if bundles:
        return verify(bundles)
    image = fetch_image(reference, allow_http=allow_http)
    with TemporaryDirectory(prefix="policyd-image-") as folder:
        paths = [Path(folder) / f"{one.name.replace(':', '-')}.sigstore.json" for one in image.bundles]
        written = []
        for path, one in zip(paths, image.bundles, strict=True):
            if one.problem is None and _may_count(one.content, uri):
                path.write_bytes(one.content)
                written.append(path)
        return verify(written)


def _may_count(content: bytes, uri: str) -> bool:
    """Say whether a bundle is an attestation, and no summary that claims to be for another target."""
    try:
        bundle = read_bundle(content, where="")
        claimed = find_claimed_type(bundle)
        if not isinstance(bundle.content, Envelope) or claimed is None:
            return False
        statement = read_json(bundle.content.payload, where="", max_bytes=MAX_BUNDLE_BYTES, max_depth=MAX_DEPTH)
    except DocumentError:
        return False
    predicate = statement.get("predicate") if isinstance(statement, dict) else None
    claimed_uri = predicate.get("resourceUri") if isinstance(predicate, dict) else None
    # Only what is for another target is left out; whether it is for this one, its verification says to the letter.
    return claimed != VSA_V1 or not isinstance(claimed_uri, str) or claimed_uri.startswith(f"{uri.rstrip('/')}/")


def _read(referring: ReferringBundle, asked: Asked) -> Bundle | PolicydError:
    if referring.problem is not None:
        return referring.problem
    try:
        bundle = read_bundle(referring.content, where=referring.name, oldest=BundleVersion.V0_1)
    except DocumentError as error:
        return error
    return bundle


def _hash(image: Image, names: Collection[DigestName]) -> ArtifactFile:
    return ArtifactFile(
        name=image.reference.name,
        digests={name: hashlib.new(name, image.manifest).digest() for name in names},
        content=image.manifest,
        begins_as_envelope=image.manifest.startswith(PAE_START),
        is_named=False,  # statements call an image by its repository, or not at all
    )


def _is_asked_for(bundle: Bundle, asked: Asked) -> bool:
    """Say whether a bundle claims to be what is asked for, or claims nothing that can be read: its checks will say."""
    if not isinstance(bundle.content, Envelope):
        return asked.predicate_type is None
    wanted = _type_to_ask(bundle, asked)
    return wanted == "" or find_claimed_type(bundle) in (None, wanted)


def _type_to_ask(bundle: Bundle, asked: Asked) -> str | None:
    if asked.predicate_type is None and isinstance(bundle.content, Envelope):
        return COSIGN_SIGN_V1
    return asked.predicate_type


def _unreadable(error: PolicydError) -> DirectVerification:
    return DirectVerification((DirectCheck(1, CHECKS[1], State.FAILED, error.cause),), error)
