"""One way to name a key: a path or a URI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from policyd.adapters.signers.keyfile import load_key, read_key_file
from policyd.adapters.signers.uri import is_key_uri, load_uri_key, read_uri_key
from policyd.attestation.keys import PublicKey
from policyd.attestation.signing import OwnSigner


def load_signer(name: str | Path, *, password: str | Callable[[], str]) -> OwnSigner:
    """Return the signer for the key file or key URI `name`; raises as `load_key` and `load_uri_key` do."""
    if isinstance(name, str) and is_key_uri(name):
        return load_uri_key(name, password=password)
    return load_key(Path(name), password=password)


def read_any_key(name: str | Path, *, password: str | Callable[[], str]) -> PublicKey:
    """Return the public key that a public or private key file, or a key URI, holds."""
    if isinstance(name, str) and is_key_uri(name):
        return read_uri_key(name, password=password)
    return read_key_file(Path(name), password=password)
