"""A log key, a store, and small disks that really fill up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policyd.adapters.stores.store import Store, open_store
from policyd.models.canonical import sha256_hex
from policyd.models.records import Event, EventKind

MakeEvent = Callable[..., Event]
Mount = Callable[[str], Path]


class LogSigner:
    """An Ed25519 key in memory."""

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = self._key.public_key()
        self.public_key_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.key_sha256 = sha256_hex(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@pytest.fixture
def signer() -> LogSigner:
    return LogSigner(1)


@pytest.fixture
def other_signer() -> LogSigner:
    return LogSigner(2)


@pytest.fixture
def store(tmp_path: Path, signer: LogSigner) -> Iterator[Store]:
    with open_store(tmp_path / "store", tmp_path / "state", signer) as opened:
        yield opened


@pytest.fixture
def event() -> MakeEvent:
    """Return what makes an event; fields given replace the usual ones."""

    def make(number: int = 0, **fields: object) -> Event:
        usual = {
            "kind": EventKind.STAGE_STARTED,
            "at": "2026-01-01T00:00:00Z",
            "run_id": f"{number:032x}",
            "stage": "s",
        }
        return Event.model_validate(usual | fields)

    return make


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Return what mounts a small disk in memory, given its options; skips where that is not allowed."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        if os.geteuid() != 0:
            pytest.skip("needs root to mount a small disk")
        done = subprocess.run(
            ["/bin/mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "none", str(folder)], capture_output=True
        )
        if done.returncode != 0:
            pytest.skip(f"can't mount a small disk here: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["/bin/umount", str(folder)], check=True)
