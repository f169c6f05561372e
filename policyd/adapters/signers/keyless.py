"""Asks a Sigstore instance for a signature, in a process of its own that has the token and nothing else.

What comes back is verified by nobody here; `policyd.app.keyless` does that before anything is written.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.signers.spawn import module_folders, python_command
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES
from policyd.attestation.keyless.client_config import ClientConfig
from policyd.attestation.keyless.token import AUDIENCE, IdentityToken
from policyd.errors import KeylessError

#: For all of it together: an authority, a timestamp, and a log that answers when the entry is in it.
TIMEOUT_SECONDS = 120
_WORKER = Path(__file__).with_name("keyless_worker.py")
#: How services are reached from here, and whose certificates are believed; nothing else of the environment is told.
_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle as the instance helped to make it, and how many timestamps it must have. Nothing in it is verified."""

    bundle: bytes
    stamps: int


def sign_digest(sha256: bytes, token: IdentityToken, config: ClientConfig, *, seconds: int = TIMEOUT_SECONDS) -> Made:
    """Return the bundle of a file with this SHA-256. Raises `KeylessError` where there is none to be had."""
    return _ask({"sha256": sha256.hex()}, token, config, seconds)


def sign_statement(
    statement: bytes, token: IdentityToken, config: ClientConfig, *, seconds: int = TIMEOUT_SECONDS
) -> Made:
    """Return the bundle of an in-toto statement v1. Raises `KeylessError` where there is none to be had."""
    return _ask({"statement": base64.b64encode(statement).decode()}, token, config, seconds)


def _ask(what: Mapping[str, str], token: IdentityToken, config: ClientConfig, seconds: int) -> Made:
    request = {
        **what,
        "config": config.content.decode(),
        "token": token.secret.get_secret_value(),
        "audience": AUDIENCE,
        "seconds": seconds,
    }
    environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    try:
        done = subprocess.run(
            [*python_command(_WORKER), module_folders()],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries say may repeat the token
            # requests would send what a .netrc has for the authority in place of the token.
            env={"LC_ALL": "C.UTF-8", "PYDANTIC_DISABLE_PLUGINS": "__all__", "NETRC": os.devnull, **environment},
            cwd="/",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"nothing came back within {seconds} seconds") from None  # its words have the command
    except OSError as error:
        raise _failed(f"the signing process can't be started: {(error.strerror or str(error)).lower()}") from error
    return _read(done)


def _read(done: subprocess.CompletedProcess[bytes]) -> Made:
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise _failed(f"the signing process ended without an answer ({done.returncode})") from None
    if "failed" in answer:
        raise _failed(answer["failed"])
    bundle = answer["bundle"].encode()
    if len(bundle) > MAX_ENVELOPE_BYTES:
        raise _failed("the bundle is too large")
    return Made(bundle, answer["stamps"])


def _failed(cause: str) -> KeylessError:
    return KeylessError(
        f"there is no keyless signature: {cause}",
        where="the Sigstore instance of the trust config",
        fix="see whether its services are there and take this identity provider, and try again with a new token",
    )
