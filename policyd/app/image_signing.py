"""Sign an image in a registry, or say something about it, with a key that holds no role, or keyless.

What is signed is always a statement whose subject is the image's digest, which the registry is asked for and which is
compared with the manifest it gives. A signature is cosign's statement for one, so that `cosign verify` finds and
verifies what is pushed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from policyd.adapters.signers.new_file import write_new
from policyd.app.images import fetch_subject, push_bundle
from policyd.app.keys import load_attesting_key
from policyd.app.signing import Stamping, read_predicate
from policyd.attestation.direct import ArtifactFile
from policyd.attestation.image_reference import ImageReference
from policyd.attestation.predicate_types import require_predicate_type
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.attestation.timestamps import VerifiedTime
from policyd.errors import UsageError
from policyd.models.base import Sha256
from policyd.models.statement import COSIGN_SIGN_V1
from policyd.models.trust import Role

if TYPE_CHECKING:
    from policyd.app.keyless import Keyless
    from policyd.attestation.findings import DirectVerification


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of an image: by default no more than that the signer vouches for it."""

    predicate_type: str
    predicate: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a bundle goes: into a file, to the image in its registry, or both."""

    bundle: Path | None
    push: bool
    allow_http: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle, and who made it: a key, or somebody keyless whose bundle has been verified (`found`)."""

    bundle: bytes
    key_sha256: Sha256 | None = None
    stamped: VerifiedTime | None = None
    found: DirectVerification | None = None


@dataclass(frozen=True, slots=True)
class SignedImage:
    """What was signed and by whom, and where the bundle went: `pushed` is the digest of its manifest."""

    reference: ImageReference
    predicate_type: str
    made: Made
    bundle: Path | None
    pushed: str | None


#: Makes the bundle of a statement about an image.
Maker = Callable[[ImageReference, Said, bytes], Made]

SIGNATURE = Said(COSIGN_SIGN_V1, {})


def read_said(predicate_type: str, predicate: Path) -> Said:
    """Return what is said by a predicate type and a JSON file.

    Raises `UsageError` for a predicate type that only a run may use, `DocumentError` for a predicate that is no object.
    """
    uri = require_predicate_type(predicate_type)
    return Said(uri, read_predicate(predicate, uri))


def by_key(
    key: str | Path,
    predicate_type: str,
    *,
    password: Callable[[], str],
    taken: Mapping[Sha256, Role],
    stamping: Stamping | None,
) -> Maker:
    """Return the maker of bundles of one type, with a key that may sign it; with a timestamp where one is asked for."""
    signer = load_attesting_key(key, predicate_type, password=password, taken=taken)

    def make(reference: ImageReference, _said: Said, statement: bytes) -> Made:
        rendered, stamped = sign_statement(statement, signer), None
        if stamping is not None:
            from policyd.adapters.timestamping import stamp_bundle

            rendered, stamped = stamp_bundle(rendered, stamping.url, stamping.authorities, where=str(reference))
        return Made(rendered, key_sha256=signer.key_sha256, stamped=stamped)

    return make


def by_identity(keyless: Keyless, *, now: Callable[[], datetime]) -> Maker:
    """Return the maker of keyless bundles, each verified as soon as it is made."""
    from policyd.adapters.signers.keyless import sign_statement as sign_keyless
    from policyd.app.keyless import verify_made

    def make(reference: ImageReference, said: Said, statement: bytes) -> Made:
        made = sign_keyless(statement, keyless.token, keyless.config)
        image = ArtifactFile(reference.name, {"sha256": bytes.fromhex(reference.sha256)}, is_named=False)
        found = verify_made(made, keyless, image, statement=statement, predicate_type=said.predicate_type, now=now())
        return Made(made.bundle, found=found)

    return make


def require_destination(reference: ImageReference, to: Destination) -> None:
    """Raise `UsageError` where a bundle is to go nowhere, or into a file that is there: before anything is signed."""
    if not to.push and to.bundle is None:
        raise UsageError(
            "the bundle would go nowhere",
            where=str(reference),
            fix="add --push to put it beside the image, or --bundle FILE to write it",
        )
    if to.bundle is not None and (to.bundle.is_symlink() or to.bundle.exists()):
        raise UsageError(
            "there is a file of this name already; policyd never overwrites a bundle",
            where=str(to.bundle),
            fix="choose another name, or move the old file away",
        )


def sign_image(
    reference: ImageReference, said: Said, *, make: Maker, to: Destination, now: Callable[[], datetime]
) -> SignedImage:
    """Sign a statement about an image and bring its bundle where it is to go.

    Raises `UsageError` where it is to go nowhere, `RegistryError` where the registry does not have the image or does
    not take the bundle, and what `make` raises.
    """
    # 1. Something to do with the bundle.
    require_destination(reference, to)

    # 2. The image, as the registry has it: nobody signs a digest that was mistyped.
    subject = fetch_subject(reference, allow_http=to.allow_http)

    # 3. The statement about it, and its bundle.
    statement = render_statement([Named(reference.name, subject.sha256)], said.predicate_type, said.predicate)
    made = make(reference, said, statement)

    # 4. The file first: what is in a registry is not taken back.
    if to.bundle is not None:
        write_new(to.bundle, made.bundle, mode=0o644, what="a bundle")
    pushed = push_bundle(reference, subject, made.bundle, now=now(), allow_http=to.allow_http) if to.push else None
    return SignedImage(reference, said.predicate_type, made, to.bundle, pushed)
