"""Signed certificate timestamps: the word of a public log that it has seen a certificate.

A certificate that no log has seen may have been issued in secret, for an identity that never asked for it. The
timestamp is inside the certificate, so what the log signed is the certificate without it (a precertificate).

Source: RFC 6962 sections 3.2 and 3.3.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from policyd.attestation.keyless.leaf import Leaf
from policyd.attestation.keyless.trusted_root import TrustedRoot
from policyd.attestation.keyless.x509 import extensions_of, find_extension, refused
from policyd.attestation.keys import is_signed_by
from policyd.models.base import rfc3339

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from cryptography.x509.certificate_transparency import SignedCertificateTimestamp

MAX_TIMESTAMPS = 8
_CERTIFICATE_TIMESTAMP = 0  # SignatureType
_PRECERTIFICATE = 1  # LogEntryType: one that is inside a certificate can be of nothing else
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def verify_certificate_timestamps(leaf: Leaf, issuer: Certificate, root: TrustedRoot, *, where: str) -> str:
    """Return which log saw the certificate and when, in words.

    Every timestamp by a log of the trusted root has to hold, and there has to be one; those by other logs say nothing.
    Raises `VerificationFailed`.
    """
    from cryptography.x509 import PrecertificateSignedCertificateTimestamps

    try:
        found = find_extension(extensions_of(leaf.certificate, where=where), PrecertificateSignedCertificateTimestamps)
        timestamps = [] if found is None else list(found)
    except ValueError as error:
        raise refused(f"the certificate's timestamps can't be read: {error}", where) from error
    if not 0 < len(timestamps) <= MAX_TIMESTAMPS:
        raise refused(
            "the certificate has no signed certificate timestamp: no log has seen it"
            if not timestamps
            else f"the certificate has more than {MAX_TIMESTAMPS} signed certificate timestamps",
            where,
        )
    seen = []
    for timestamp in timestamps:
        log = root.find_certificate_log(timestamp.log_id)
        if log is None:
            continue
        moment = timestamp.timestamp.replace(tzinfo=UTC)
        if not log.window.holds(moment):
            raise refused(
                f"the certificate log {log.url} counts {log.window.describe()}, not at {rfc3339(moment)}", where
            )
        try:
            signed = _signed_bytes(timestamp, moment, leaf, issuer)
        except (ValueError, struct.error) as error:
            raise refused(f"the certificate's timestamp can't be read: {error}", where) from error
        if not is_signed_by(log.key, timestamp.signature, signed):
            raise refused(f"the certificate's timestamp is not by the log {log.url}, or of another certificate", where)
        seen.append(f"{log.url} at {rfc3339(moment)}")
    if not seen:
        raise refused("the certificate's timestamps are by logs that the trusted root does not list", where)
    return ", ".join(seen)


def _signed_bytes(timestamp: SignedCertificateTimestamp, moment: datetime, leaf: Leaf, issuer: Certificate) -> bytes:
    """Return what the log signed: RFC 6962 section 3.2, `digitally-signed struct`, for a precertificate entry."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    issuer_key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = leaf.certificate.tbs_precertificate_bytes
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    extensions = timestamp.extension_bytes
    return b"".join(
        (
            struct.pack("!BBQH", timestamp.version.value, _CERTIFICATE_TIMESTAMP, milliseconds, _PRECERTIFICATE),
            hashlib.sha256(issuer_key).digest(),
            len(body).to_bytes(3),
            body,
            struct.pack("!H", len(extensions)),
            extensions,
        )
    )
