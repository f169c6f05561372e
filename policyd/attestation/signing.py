"""What the core asks of a signer."""

from __future__ import annotations

from typing import Protocol

from policyd.models.base import Sha256


class Signer(Protocol):
    """Holds one private key. Signs envelopes of policyd's own making, never bytes a caller chose."""

    @property
    def key_sha256(self) -> Sha256:
        """SHA-256 of the public key's SubjectPublicKeyInfo DER: the key's fingerprint."""

    @property
    def public_key_pem(self) -> str:
        """The public key, PEM SubjectPublicKeyInfo."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`: ECDSA P-256/SHA-256 in DER, or Ed25519 (64 bytes)."""
