"""Certificates read and compared, with every error of the library turned into one of ours.

Sigstore's chains are short and pinned whole, so a path is not searched for: it is the leaf, whatever the bundle adds
below a pinned issuer, and the pinned rest. That also lets leaf keys be of every kind policyd verifies with, where the
web's profile takes no Ed25519.

Source: RFC 5280 sections 4.2.1 and 6.1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from policyd.attestation.keys import PublicKey, read_public_key
from policyd.errors import DocumentError, KeyUnusable, VerificationFailed
from policyd.models.base import rfc3339

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Extensions, ExtensionType

    E = TypeVar("E", bound=ExtensionType)

#: Signatures on certificates count with these digests; Ed25519 names none.
_DIGESTS = frozenset(("sha256", "sha384", "sha512"))
#: Certificates between the leaf and a pinned issuer. Each order of them may have to be tried.
MAX_BETWEEN = 3


def read_certificate(der: bytes, *, where: str) -> Certificate:
    """Return the certificate in DER; `DocumentError` if it is none, or of a version without extensions."""
    from cryptography.x509 import InvalidVersion, Version, load_der_x509_certificate

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # cryptography warns of what it will refuse one day; here it is refused now
            certificate = load_der_x509_certificate(der)
            version = certificate.version
            _ = certificate.serial_number, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, TypeError, InvalidVersion, Warning) as error:
        raise _malformed(f"it is no X.509 certificate: {error}", where) from error
    if version is not Version.v3:
        raise _malformed("it is no X.509 certificate of version 3", where)
    return certificate


def extensions_of(certificate: Certificate, *, where: str) -> Extensions:
    """Return the certificate's extensions; `VerificationFailed` where they can't be read or one is there twice."""
    from cryptography.x509 import DuplicateExtension, UnsupportedGeneralNameType

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return certificate.extensions
    except (ValueError, TypeError, DuplicateExtension, UnsupportedGeneralNameType, Warning) as error:
        raise refused(f"the certificate's extensions can't be read: {error}", where) from error


def find_extension(extensions: Extensions, kind: type[E]) -> E | None:
    """Return the extension of this kind, or None."""
    from cryptography.x509 import ExtensionNotFound

    try:
        return extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None


def public_key_of(certificate: Certificate, *, where: str) -> PublicKey:
    """Return the key that a certificate is for; `KeyUnusable` if it isn't one from our list."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(str(error), where) from error
    return _accepted(key, where)


def public_key_of_der(der: bytes, *, where: str) -> PublicKey:
    """Return the public key in DER (SubjectPublicKeyInfo); `KeyUnusable` if it isn't one from our list."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(str(error), where) from error
    return _accepted(key, where)


def der_of(certificate: Certificate) -> bytes:
    """Return the certificate in DER."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def chain_holds(certificates: Sequence[Certificate]) -> bool:
    """Say whether each certificate was issued by the next, and those that issue may."""
    from itertools import pairwise

    return all(is_issued_by(issued, issuer) for issued, issuer in pairwise(certificates))


def is_issued_by(issued: Certificate, issuer: Certificate) -> bool:
    """Say whether names and signature agree, and the signature is of a kind that counts. Says nothing about time."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        digest = issued.signature_hash_algorithm
        if digest is not None and digest.name not in _DIGESTS:
            return False
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def find_path(
    leaf: Certificate, between: Sequence[Certificate], pinned: Sequence[Certificate]
) -> tuple[Certificate, ...] | None:
    """Return the certificates from the issuer of `leaf` to the anchor, the last of `pinned`; None if there is no way.

    `between` come from whoever made the bundle: each may stand between the leaf and a pinned issuer, at most once.
    """
    if len(between) > MAX_BETWEEN:
        return None
    for number, issuer in enumerate(pinned):
        if is_issued_by(leaf, issuer):
            return tuple(pinned[number:])
    for number, issuer in enumerate(between):
        if is_issued_by(leaf, issuer):
            rest = find_path(issuer, [*between[:number], *between[number + 1 :]], pinned)
            if rest is not None:
                return (issuer, *rest)
    return None


def require_path(leaf: Certificate, path: Sequence[Certificate], moment: datetime, *, where: str) -> None:
    """Raise `VerificationFailed` unless every certificate of a path is valid at `moment` and may stand in it.

    `path` is what `find_path` returned: names and signatures have been compared.
    """
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage, KeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    # 1. Everybody's time.
    for certificate in (leaf, *path):
        first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not first <= moment <= last:
            what = "the signer's certificate" if certificate is leaf else "a certificate of the authority"
            raise refused(f"{what} is valid from {rfc3339(first)} to {rfc3339(last)}, not at {rfc3339(moment)}", where)

    # 2. Who issues is an authority, of enough depth, for signing code.
    for below, certificate in enumerate(path):
        extensions = extensions_of(certificate, where=where)
        require_known(extensions, where=where)
        constraints = find_extension(extensions, BasicConstraints)
        if constraints is None or not constraints.ca:
            raise refused("a certificate in the chain is not one of an authority", where)
        if constraints.path_length is not None and below > constraints.path_length:
            raise refused("the chain is longer than an authority in it allows", where)
        usage = find_extension(extensions, KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            raise refused("a certificate in the chain may not sign certificates", where)
        purposes = find_extension(extensions, ExtendedKeyUsage)
        wanted = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
        if purposes is not None and not wanted & set(purposes):
            raise refused("a certificate in the chain is not for signing code", where)


def require_known(extensions: Extensions, *, where: str) -> None:
    """Raise `VerificationFailed` for a critical extension that policyd does not judge (RFC 5280, 4.2)."""
    from cryptography.x509.oid import ExtensionOID

    judged = {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
    for extension in extensions:
        if extension.critical and extension.oid not in judged:
            raise refused(
                f"a certificate has a critical extension that is not known: {extension.oid.dotted_string}", where
            )


def _accepted(key: object, where: str) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
        raise _no_key("it is of another kind", where)
    return read_public_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), where="the key")


def refused(cause: str, where: str) -> VerificationFailed:
    """Return the refusal of a certificate."""
    return VerificationFailed(
        cause, where=where, fix="have it signed again; or compare the trusted root with the instance that signed it"
    )


def _malformed(cause: str, where: str) -> DocumentError:
    return DocumentError(cause[:200], where=where, fix="give the certificate in DER, as its authority made it")


def _no_key(cause: str, where: str) -> KeyUnusable:
    return KeyUnusable(f"the key can't be used: {cause[:200]}", where=where, fix="use a key of a kind policyd lists")
