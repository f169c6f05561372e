"""What a signature costs: of a file of 1 GiB as a command, and in the signing process of a run.

The peer of the file is `openssl dgst -sha256`, which only reads and hashes it; the command also starts Python.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

from benchmarks.commands import Home, call, open_home
from benchmarks.figures import Figure, fastest
from policyd.adapters.settings import require_authority
from policyd.adapters.signers.keyfile import generate_key
from policyd.adapters.signers.process import start_signing

SIZE = 1 << 30
_MOST = 1.5  # of openssl's time
_BUDGET_BYTES = 100_000_000
_TIMES = 3
_SIGNATURES = 500


def measure() -> Iterator[Figure]:
    """Measure signing a large file, starting the signing process, and one signature by it."""
    with open_home() as home:
        yield from _measure_file(home)
        yield from _measure_process(home)


def _measure_file(home: Home) -> Iterator[Figure]:
    file = home.folder / "file"
    block = os.urandom(1 << 20)
    with file.open("wb") as out:
        for _ in range(SIZE // len(block)):
            out.write(block)
    key = generate_key(home.folder / "own.key").private_key
    bundle = home.folder / "bundle.json"
    command = [sys.executable, "-m", "policyd", "sign", str(file), "--key", str(key), "--bundle", str(bundle)]

    def sign() -> int:
        bundle.unlink(missing_ok=True)
        return call(command).peak_bytes

    openssl, policyd = fastest(partial(call, ["/usr/bin/openssl", "dgst", "-sha256", str(file)]), sign, times=_TIMES)
    yield Figure("sign 1 GiB", policyd, "s", _MOST * openssl, peer="openssl dgst -sha256", peer_value=openssl)
    yield Figure("memory while signing 1 GiB", sign() / 1e6, "MB", _BUDGET_BYTES / 1e6)
    file.unlink()


def _measure_process(home: Home) -> Iterator[Figure]:
    authority = require_authority(Path(home.places.settings), repository=None)
    start = perf_counter()
    with start_signing(authority, str) as signing:
        yield Figure("start of the signing process, alone", 1000 * (perf_counter() - start), "ms")
        text = f"policyd.dev/log/{signing.log.key_sha256}\n8\n{'A' * 43}=\n"
        start = perf_counter()
        for _ in range(_SIGNATURES):
            signing.sign_checkpoint(text)
        yield Figure("a checkpoint signed by it", 1000 * (perf_counter() - start) / _SIGNATURES, "ms")
