"""RFC 3161 timestamps: somebody else's word that a signature existed by a certain time.

A managed key has no time of its own: whoever holds a revoked key can write any date into what they sign. With a
timestamp by an authority that the trust policy pins, a signature made while its key was in force stays good after the
key has expired or been revoked. The authority's certificates are judged at the time that it states.

What a timestamp covers is the signature's bytes, as in every Sigstore bundle.

Source: RFC 3161 sections 2.3 and 2.4.2; sigstore/protobuf-specs v0.5.1, RFC3161SignedTimestamp.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from policyd.errors import SettingsError, VerificationFailed
from policyd.models.base import rfc3339
from policyd.models.trust import TimestampAuthority

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

#: How far a proven time may lie ahead of this machine's clock: clocks differ by seconds, not by hours.
CLOCK_TOLERANCE = timedelta(minutes=5)
MAX_CHAIN_CHARACTERS = 64 * 1024
MAX_CERTIFICATES = 8
_WHERE = "RFC 3161 timestamp"


@dataclass(frozen=True, slots=True)
class Chain:
    """An authority's certificates, taken apart. `leaf` is None where only those above it are pinned."""

    leaf: Certificate | None
    intermediates: tuple[Certificate, ...]
    root: Certificate


@dataclass(frozen=True, slots=True)
class PinnedAuthority:
    """An authority that somebody trusts for times from `valid_from` up to, not including, `valid_until`."""

    name: str
    chain: Chain
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class VerifiedTime:
    """A signature existed at `moment`, says the authority of this name. Built by `verify_time` alone."""

    moment: datetime
    authority: str


@dataclass(frozen=True, slots=True)
class Times:
    """What the timestamps of one signature show: those that hold, and why the others don't."""

    verified: tuple[VerifiedTime, ...] = ()
    problems: tuple[str, ...] = ()


@lru_cache(maxsize=32)
def read_chain(pem: str, *, where: str) -> Chain:
    """Return the certificates of an authority, the signer's first (it may be left out) and the root last.

    Raises `SettingsError` for what is no chain.
    """
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound, load_pem_x509_certificates
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        if len(pem) > MAX_CHAIN_CHARACTERS:
            raise ValueError("too long")
        certificates = load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise _no_chain("it holds no certificates in PEM", where) from error
    if not 0 < len(certificates) <= MAX_CERTIFICATES:
        raise _no_chain(f"it does not hold 1 to {MAX_CERTIFICATES} certificates", where)
    try:
        usage = certificates[0].extensions.get_extension_for_class(ExtendedKeyUsage).value
        stamps = ExtendedKeyUsageOID.TIME_STAMPING in usage
    except (ExtensionNotFound, ValueError):
        stamps = False
    root = certificates[-1]
    if root.issuer != root.subject:
        raise _no_chain("the last certificate is not a root (issued by itself)", where)
    return Chain(
        leaf=certificates[0] if stamps else None,
        intermediates=tuple(certificates[1 if stamps else 0 : -1]),
        root=root,
    )


def verify_timestamp(
    timestamp: bytes, signature: bytes, authorities: Sequence[TimestampAuthority], *, nonce: int | None = None
) -> VerifiedTime:
    """Return when `signature` existed, by the first of a trust policy's `authorities` that says so in `timestamp`.

    `nonce` is that of the request where one was just made. Raises `VerificationFailed`.
    """
    if not authorities:
        raise _refused("the trust policy pins no timestamp authority", _WHERE)
    pinned = [
        PinnedAuthority(
            authority.name,
            read_chain(authority.certificate_chain, where=f"timestamp authority {authority.name}"),
            authority.valid_from,
            authority.valid_until,
        )
        for authority in authorities
    ]
    return verify_time(timestamp, signature, pinned, nonce=nonce)


def verify_time(
    timestamp: bytes, signature: bytes, authorities: Sequence[PinnedAuthority], *, nonce: int | None = None
) -> VerifiedTime:
    """Return when `signature` existed, by the first of `authorities` that says so in `timestamp`.

    Raises `VerificationFailed`, also where there are no authorities.
    """
    from cryptography.x509 import DuplicateExtension, InvalidVersion, UnsupportedGeneralNameType
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    where = _WHERE
    # What else the library lets through of what it calls, for bytes made to break it (measured with 1.0.9).
    foreign = (ValueError, TypeError, InvalidVersion, DuplicateExtension, UnsupportedGeneralNameType, Warning)

    # 1. A response, and what it says about time. Its inaccuracy counts against it: by then at the latest it existed.
    try:
        response = decode_timestamp_response(timestamp)
        info = response.tst_info
        moment = info.gen_time
        if (accuracy := info.accuracy) is not None:
            moment += timedelta(
                seconds=accuracy.seconds, milliseconds=accuracy.millis or 0, microseconds=accuracy.micros or 0
            )
    except (ValueError, TypeError, OverflowError) as error:
        raise _refused("it is no timestamp response", where) from error

    # 2. Signed by an authority that is pinned and trusted for that time, over these very bytes.
    reasons = []
    for authority in authorities:
        chain = authority.chain
        verifier = VerifierBuilder(
            tsa_certificate=chain.leaf, intermediates=list(chain.intermediates), roots=[chain.root], nonce=nonce
        ).build()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # cryptography warns of certificates that it will refuse one day
                verifier.verify_message(response, signature)
        except (VerificationError, *foreign) as error:
            reasons.append(f"{authority.name}: {error}")
            continue
        if (authority.valid_from is not None and moment < authority.valid_from) or (
            authority.valid_until is not None and moment >= authority.valid_until
        ):
            reasons.append(f"{authority.name} is not trusted for {rfc3339(moment)}")
            continue
        return VerifiedTime(moment=moment, authority=authority.name)
    raise _refused("; ".join(reasons) or "no timestamp authority is trusted", where)


def find_times(
    timestamps: Sequence[bytes], signature: bytes, authorities: Sequence[TimestampAuthority], *, now: datetime
) -> Times:
    """Return what `timestamps` of `signature` show as of `now`. One that does not hold is named and does not count."""
    verified, problems = [], []
    for timestamp in timestamps:
        try:
            time = verify_timestamp(timestamp, signature, authorities)
        except VerificationFailed as error:
            problems.append(error.cause)
            continue
        if time.moment > now:
            problems.append(f"{time.authority} says {rfc3339(time.moment)}, which lies in the future")
        else:
            verified.append(time)
    return Times(tuple(verified), tuple(problems))


def _no_chain(cause: str, where: str) -> SettingsError:
    return SettingsError(
        f"the certificate chain can't be used: {cause}",
        where=where,
        fix="give the authority's chain in PEM: its own certificate, those between, the root",
    )


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(
        f"the timestamp does not hold: {cause}", where=where, fix="pin the authority that made it in the trust policy"
    )
