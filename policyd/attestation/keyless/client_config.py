"""A client trust config: whom to ask for a keyless signature, and what to believe of the answers.

Both come from one file that whoever signs has pinned: the token goes to no address but those in it, and what comes back
has to hold under the trusted root beside them.

Source: sigstore/protobuf-specs v0.5.1, protos/sigstore_trustroot.proto (ClientTrustConfig, SigningConfig).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from policyd.attestation.keyless.trusted_root import (
    CLIENT_TRUST_CONFIG,
    MAX_TRUSTED_ROOT_BYTES,
    MAX_TRUSTED_ROOT_DEPTH,
    TrustedRoot,
    read_trusted_root,
)
from policyd.errors import DocumentError
from policyd.models.strict_json import read_json

_SERVICES = ("caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls")
_NEEDED = ("caUrls", "rekorTlogUrls")
MAX_SERVICES = 64
_PLAIN = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """The file as it was read, and the trusted root in it."""

    content: bytes
    root: TrustedRoot


def read_client_config(content: bytes, *, where: str) -> ClientConfig:
    """Return the client trust config in `content`; `DocumentError` for anything else.

    Every address is https, or on this machine: on the way to another anybody could take the token.
    """
    value = read_json(content, where=where, max_bytes=MAX_TRUSTED_ROOT_BYTES, max_depth=MAX_TRUSTED_ROOT_DEPTH)
    if not isinstance(value, dict) or value.get("mediaType") != CLIENT_TRUST_CONFIG:
        raise _malformed(f"this is no file of the media type {CLIENT_TRUST_CONFIG}", where)
    signing = value.get("signingConfig")
    if not isinstance(signing, dict):
        raise _malformed("it has no signingConfig: it says what to believe, and not whom to ask", where)
    for name in _SERVICES:
        services = signing.get(name, [])
        if not isinstance(services, list) or len(services) > MAX_SERVICES:
            raise _malformed(f"signingConfig.{name} is no list of at most {MAX_SERVICES} services", where)
        if name in _NEEDED and not services:
            raise _malformed(f"signingConfig.{name} names nobody", where)
        for service in services:
            _require_safe(service.get("url") if isinstance(service, dict) else None, f"{where}, {name}")
    # Asked without one, such a log would keep an entry for ever that belongs to no valid bundle.
    if not signing.get("tsaUrls") and any(log.get("majorApiVersion") != 1 for log in signing["rekorTlogUrls"]):
        raise _malformed("it names a log of Rekor v2, which gives no time, and no timestamp authority (tsaUrls)", where)
    return ClientConfig(content, read_trusted_root(content, where=where))


def join_client_config(trusted_root: Mapping[str, object], signing_config: Mapping[str, object]) -> bytes:
    """Return the client trust config of a trusted root and a signing config that came as two files."""
    value = {"mediaType": CLIENT_TRUST_CONFIG, "trustedRoot": trusted_root, "signingConfig": signing_config}
    return json.dumps(value).encode()


def _require_safe(url: object, where: str) -> None:
    if not isinstance(url, str):
        raise _malformed("a service has no url", where)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _malformed(f"{url[:128]!r} is no address", where) from error
    safe = parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))
    if not host or port == 0 or not safe or "@" in parts.netloc or _PLAIN.fullmatch(url) is None:
        raise _malformed(f"{url[:128]!r} is no https:// address", where)


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _malformed(cause: str, where: str) -> DocumentError:
    return DocumentError(
        cause, where=where, fix="give a client trust config: a trusted root and a signing config in one file"
    )
