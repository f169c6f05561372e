"""What the core asks of a signer."""

from __future__ import annotations

from typing import Protocol

from policyd.attestation.keys import KeyKind
from policyd.models.base import Sha256
from policyd.models.decision import Decision


class Signer(Protocol):
    """Holds one private key. Signs envelopes of policyd's own making, never bytes a caller chose."""

    @property
    def key_sha256(self) -> Sha256:
        """SHA-256 of the public key's SubjectPublicKeyInfo DER: the key's fingerprint."""

    @property
    def public_key_pem(self) -> str:
        """The public key, PEM SubjectPublicKeyInfo."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, with the algorithm of the key's kind (`attestation.keys`)."""


class DecisionSigner(Protocol):
    """Makes and signs the statement of a decision with the decider's key."""

    def sign_decision(self, decision: Decision) -> bytes:
        """Return the Sigstore bundle."""


class BlobSigner(Protocol):
    """Signs files a caller chose, with a key that has no role.

    Another kind of object than a `Signer`, so that no role's signer can be handed a digest of somebody else's making
    (docs/threats.md, T36 and T37).
    """

    @property
    def key_sha256(self) -> Sha256:
        """The key's fingerprint."""

    @property
    def kind(self) -> KeyKind:
        """What the key signs with; its `digest` is the one that `sign_digest` takes."""

    @property
    def needs_content(self) -> bool:
        """True where a digest is not enough and `sign_content` has to be used."""

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the signature of the file with this digest. Raises `TypeError` where the content is needed."""

    def sign_content(self, content: bytes) -> bytes:
        """Return the signature of the file with this content."""


class OwnSigner(Signer, Protocol):
    """A signer whose key may turn out to have no role, and then may sign files."""

    def for_blobs(self) -> BlobSigner:
        """Return the signer of files with this key. Ask for it only after making sure that the key has no role."""
