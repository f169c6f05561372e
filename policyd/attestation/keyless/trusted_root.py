"""The trusted root: the certificate authorities, logs and timestamp authorities whose word counts, and when.

It is a file that whoever verifies has pinned. Nothing is fetched, and nothing that a bundle brings adds to it. Each
entry counts only for times within its `validFor`, both ends included; one without a beginning counts never.

Source: sigstore/protobuf-specs v0.5.1, protos/sigstore_trustroot.proto, in proto3 JSON; C2SP signed-note (key ids).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from policyd.attestation.dsse import read_base64
from policyd.attestation.keyless.x509 import chain_holds, public_key_of_der, read_certificate
from policyd.attestation.keys import KeyKind, PublicKey
from policyd.attestation.timestamps import Chain, PinnedAuthority
from policyd.errors import DocumentError, KeyUnusable
from policyd.models.base import rfc3339
from policyd.models.strict_json import read_json

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_TRUSTED_ROOT_BYTES = 4 * 1024 * 1024  # the public good instance's has 7 KB
MAX_TRUSTED_ROOT_DEPTH = 16
MAX_LISTED = 256
MAX_CHAIN = 8
MAX_TEXT = 1024

_MEDIA_TYPES = (
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
)
CLIENT_TRUST_CONFIG = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
#: What the algorithm registry calls the keys that policyd verifies with.
_KEY_DETAILS = {
    "PKIX_ECDSA_P256_SHA_256": KeyKind.P256,
    "PKIX_ECDSA_P384_SHA_384": KeyKind.P384,
    "PKIX_ECDSA_P521_SHA_512": KeyKind.P521,
    "PKIX_ED25519": KeyKind.ED25519,
    "PKIX_RSA_PKCS1V15_3072_SHA256": KeyKind.RSA,
    "PKIX_RSA_PKCS1V15_4096_SHA256": KeyKind.RSA,
}


@dataclass(frozen=True, slots=True)
class Window:
    """The times for which something counts, both ends included."""

    start: datetime | None
    end: datetime | None

    def holds(self, moment: datetime) -> bool:
        """Say whether `moment` lies inside; never where there is no beginning."""
        return self.start is not None and self.start <= moment and (self.end is None or moment <= self.end)

    def describe(self) -> str:
        """Return the window in words."""
        if self.start is None:
            return "at no time, because validFor has no start"
        return f"from {rfc3339(self.start)}" + (f" to {rfc3339(self.end)}" if self.end else " on")


@dataclass(frozen=True, slots=True)
class Log:
    """A transparency log: of signatures, or of certificates. `host` is the origin of its checkpoints."""

    url: str
    host: str
    log_id: bytes
    key: PublicKey
    window: Window
    checkpoint_ids: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: the issuer of signing certificates first, the trust anchor last."""

    name: str
    certificates: tuple[Certificate, ...]
    window: Window


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """What is trusted. `sha256` names the file; `unusable` says what in it policyd can't use, and why."""

    sha256: str
    logs: tuple[Log, ...]
    certificate_logs: tuple[Log, ...]
    authorities: tuple[Authority, ...]
    timestamp_authorities: tuple[PinnedAuthority, ...]
    unusable: tuple[str, ...] = ()

    @property
    def lists_no_log(self) -> bool:
        """True for an instance that runs no log of any kind: none is listed, not even one that can't be used."""
        return not (self.logs or self.certificate_logs or self.unusable)

    def find_log(self, log_id: bytes) -> Log | None:
        """Return the log of signatures that has this id."""
        return next((log for log in self.logs if log.log_id == log_id), None)

    def find_certificate_log(self, log_id: bytes) -> Log | None:
        """Return the log of certificates that has this id."""
        return next((log for log in self.certificate_logs if log.log_id == log_id), None)


def read_trusted_root(content: bytes, *, where: str) -> TrustedRoot:
    """Return the trusted root in `content`, which may also be a client trust config; `DocumentError` if it is none.

    What stands in it in a form that policyd does not use (an old key type) is left out and named; what is malformed is
    an error, because a file that is half read would trust less than its owner thinks.
    """
    value = _object(
        read_json(content, where=where, max_bytes=MAX_TRUSTED_ROOT_BYTES, max_depth=MAX_TRUSTED_ROOT_DEPTH),
        "the trusted root",
        where,
    )

    # 1. The version, before anything that it gives a meaning to.
    media_type = value.get("mediaType")
    if media_type == CLIENT_TRUST_CONFIG:
        value = _object(value.get("trustedRoot"), "trustedRoot", where)
        media_type = value.get("mediaType")
    if media_type not in _MEDIA_TYPES:
        raise _malformed(f"the media type is {str(media_type)[:128]!r}, not {_MEDIA_TYPES[0]}", where)

    # 2. Everybody who is listed.
    unusable: list[str] = []
    return TrustedRoot(
        sha256=hashlib.sha256(content).hexdigest(),
        logs=tuple(_read_logs(value, "tlogs", unusable, where)),
        certificate_logs=tuple(_read_logs(value, "ctlogs", unusable, where)),
        authorities=tuple(_read_authorities(value, where)),
        timestamp_authorities=tuple(_read_timestamp_authorities(value, where)),
        unusable=tuple(unusable),
    )


def _read_logs(root: dict[str, object], name: str, unusable: list[str], where: str) -> Iterator[Log]:
    seen: set[bytes] = set()
    for number, item in enumerate(_list(root.get(name), name, MAX_LISTED, where), 1):
        place = f"{where}, {name} {number}"
        log = _object(item, "the log", place)
        url = _text(log.get("baseUrl", ""), "baseUrl", place)
        host = _host(url, place)
        public_key = _object(log.get("publicKey"), "publicKey", place)
        log_id = read_base64(_object(log.get("logId"), "logId", place).get("keyId"), where=f"{place}, logId.keyId")
        if not log_id or log_id in seen:
            raise _malformed(f"the log id {log_id.hex() or '(empty)'} is there twice or empty", place)
        seen.add(log_id)
        details = public_key.get("keyDetails")
        kind = _KEY_DETAILS.get(details) if isinstance(details, str) else None
        der = read_base64(public_key.get("rawBytes"), where=f"{place}, publicKey.rawBytes")
        window = _read_window(public_key.get("validFor", {}), place)
        if kind is None:
            unusable.append(f"{name} {number} ({url}): a key of the kind {str(details)[:64]}")
            continue
        try:
            key = public_key_of_der(der, where=place)
        except KeyUnusable as error:
            unusable.append(f"{name} {number} ({url}): {error.cause}")
            continue
        if key.kind is not kind:
            raise _malformed(f"the key is {key.kind}, and keyDetails says {details}", place)
        ids = {hashlib.sha256(der).digest()[:4], *_checkpoint_ids(key, host)}
        if (given := log.get("checkpointKeyId")) is not None:
            ids.add(read_base64(_object(given, "checkpointKeyId", place).get("keyId"), where=place))
        yield Log(url=url, host=host, log_id=log_id, key=key, window=window, checkpoint_ids=frozenset(ids))


def _checkpoint_ids(key: PublicKey, host: str) -> Iterator[bytes]:
    """Yield the ids that a signed note may know the key by, beside the one that is made from the key alone."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if isinstance(key.key, Ed25519PublicKey):
        yield hashlib.sha256(host.encode() + b"\n\x01" + key.key.public_bytes_raw()).digest()[:4]


def _host(url: str, where: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError as error:
        raise _malformed(f"baseUrl is {url[:64]!r}, which is no address", where) from error


def _read_authorities(root: dict[str, object], where: str) -> Iterator[Authority]:
    for place, name, certificates, window in _read_chains(root, "certificateAuthorities", where):
        if not chain_holds(certificates):
            raise _malformed("the certificates do not make a chain, issuer after issued", place)
        yield Authority(name=name, certificates=certificates, window=window)


def _read_timestamp_authorities(root: dict[str, object], where: str) -> Iterator[PinnedAuthority]:
    for place, name, certificates, window in _read_chains(root, "timestampAuthorities", where):
        if len(certificates) < 2 or not chain_holds(certificates):
            raise _malformed("the certificates do not make a chain: the signer's first, the root last", place)
        if window.start is None:
            continue
        yield PinnedAuthority(
            name=name,
            # The signer's own certificate is pinned: another of the same root has a window of its own.
            chain=Chain(leaf=certificates[0], intermediates=certificates[1:-1], root=certificates[-1]),
            valid_from=window.start,
            valid_until=None if window.end is None else window.end + timedelta(microseconds=1),
        )


def _read_chains(
    root: dict[str, object], name: str, where: str
) -> Iterator[tuple[str, str, tuple[Certificate, ...], Window]]:
    for number, item in enumerate(_list(root.get(name), name, MAX_LISTED, where), 1):
        place = f"{where}, {name} {number}"
        authority = _object(item, "the authority", place)
        chain = _object(authority.get("certChain"), "certChain", place)
        certificates = [
            read_certificate(
                read_base64(_object(entry, "the certificate", place).get("rawBytes"), where=place), where=place
            )
            for entry in _list(chain.get("certificates"), "certChain.certificates", MAX_CHAIN, place)
        ]
        if not certificates:
            raise _malformed("it has no certificate", place)
        uri = _text(authority.get("uri", ""), "uri", place)
        yield (
            place,
            uri or certificates[0].subject.rfc4514_string(),
            tuple(certificates),
            _read_window(authority.get("validFor", {}), place),
        )


def _read_window(value: object, where: str) -> Window:
    window = _object(value, "validFor", where)
    return Window(start=_moment(window.get("start"), where), end=_moment(window.get("end"), where))


def _moment(value: object, where: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(_text(value, "validFor", where))
    except ValueError as error:
        raise _malformed(f"validFor names {str(value)[:64]!r}, which is no time", where) from error
    if moment.utcoffset() is None:
        raise _malformed(f"validFor names {str(value)[:64]!r} without a time zone", where)
    return moment


def _object(value: object, name: str, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _malformed(f"{name} is missing or no JSON object", where)
    return value


def _list(value: object, name: str, most: int, where: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise _malformed(f"{name} is no list of at most {most} items", where)
    return value


def _text(value: object, name: str, where: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _malformed(f"{name} is no text of at most {MAX_TEXT} characters", where)
    return value


def _malformed(cause: str, where: str) -> DocumentError:
    return DocumentError(
        cause, where=where, fix="give a trusted root as the instance publishes it (trusted_root.json), pinned by you"
    )
