"""How fast a product of 1 GiB is hashed and stored, and in how much memory.

Hashing is the work; a disk only decides how long policyd then waits for it. So the same is measured in memory (a store
on tmpfs), on the disk, and on the disk without the waits (`copy_hashing` alone, no fsync). The peer is
`openssl dgst -sha256` on the same file, which only reads and hashes; for the disk also a plain copy with one fsync,
which only writes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from benchmarks.commands import call
from benchmarks.figures import Figure, fastest
from policyd.adapters.stores.content import ContentStore, copy_hashing

SIZE = 1 << 30
_LEAST = 0.8  # of openssl's speed
_MEMORY = Path("/dev/shm")
_TIMES = 5
_STORE = """\
import os, sys
from pathlib import Path
from policyd.adapters.stores.content import ContentStore

print(ContentStore.create(Path(sys.argv[2])).put_fd(os.open(sys.argv[1], os.O_RDONLY)))
"""


def measure() -> Iterator[Figure]:
    """Measure storing a file of 1 GiB."""
    places = [("disk", Path(gettempdir()))]
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 3 * SIZE:
        places.insert(0, ("memory", _MEMORY))
    for name, parent in places:
        with TemporaryDirectory(prefix="policyd-bench-", dir=parent) as folder:
            yield from _measure_in(Path(folder), name)


def _measure_in(folder: Path, name: str) -> Iterator[Figure]:
    product = folder / "product"
    _write(product)
    works = {f"store 1 GiB ({name})": partial(_store, product, folder / "store")}
    if name == "disk":
        works["hash and write 1 GiB (disk, no fsync)"] = partial(_copy, product, folder / "copy")
    openssl = partial(call, ["/usr/bin/openssl", "dgst", "-sha256", str(product)])
    disk = partial(_copy_plainly, product, folder / "copy")
    peer, plain, *speeds = (SIZE / 1e6 / took for took in fastest(openssl, disk, *works.values(), times=_TIMES))
    for what, speed in zip(works, speeds, strict=True):
        yield Figure(what, speed, "MB/s", _LEAST * peer, at_least=True, peer="openssl dgst -sha256", peer_value=peer)
    if name == "disk":
        yield Figure("store 1 GiB (disk)", speeds[0], "MB/s", peer="copy and fsync, no hash", peer_value=plain)
    if name == "memory":
        stored = call([sys.executable, "-c", _STORE, str(product), str(folder / "store")])
        # Pages of tmpfs belong to no process, so this is what policyd itself holds.
        yield Figure("memory while storing 1 GiB", stored.peak_bytes / 1e6, "MB", peer="size", peer_value=SIZE / 1e6)


def _write(product: Path) -> None:
    block = os.urandom(1 << 20)
    with product.open("wb") as file:
        for _ in range(SIZE // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _store(product: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # a thousandth of the rest
    with product.open("rb") as file:
        ContentStore.create(folder).put_fd(file.fileno())


def _copy_plainly(product: Path, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    with product.open("rb") as source, copy.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
        sink.flush()
        os.fsync(sink.fileno())


def _copy(product: Path, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    with product.open("rb") as source, copy.open("wb") as sink:
        copy_hashing(source.fileno(), sink.fileno())
