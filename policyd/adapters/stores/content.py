"""Content by digest: `sha256/ab/abcd…`. What is asked for by digest is what comes back, or an error naming the object.

An object appears under its digest only when it is whole and on the disk, so neither a full disk nor `kill -9` nor a
power cut leaves half of one. Every reader hashes what it reads: the disk is not trusted, nor whoever reached it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeVar

from policyd.adapters.stores.files import sync_folder, write_all
from policyd.errors import InputTooLarge, StoreError, UsageError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")

SMALL_BYTES = 64 << 10  # most files: clearing a large buffer would cost more than reading them
CHUNK_BYTES = 1 << 20
CHUNKS = 8  # read, hash and write at once: two threads rarely wait for one buffer
FLUSH_BYTES = 32 << 20  # let the disk write while the rest is hashed
STALE_SECONDS = 24 * 3600  # no single file takes a day to store; what is left of a killed policyd does
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ContentStore:
    """A folder of objects. Opened as it stands: reading needs no write access, `create` makes a new one."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = root / "sha256"
        self._incoming = root / "incoming"
        self._waiters = _Waiters()

    @classmethod
    def create(cls, root: Path) -> ContentStore:
        """Return the store at `root`, made if it is not there, and cleared of what a killed policyd left."""
        store = cls(root)
        with _translated(root):
            if not store._incoming.is_dir():
                # All at once, so that storing an object later has one folder to make durable, not two.
                for number in range(256):
                    (store._objects / f"{number:02x}").mkdir(mode=0o700, parents=True, exist_ok=True)
                for folder in (store._objects, root, root.parent):
                    sync_folder(folder)
                store._incoming.mkdir(mode=0o700, exist_ok=True)
                sync_folder(root)
            store._sweep()
        return store

    def put(self, content: bytes) -> Sha256:
        """Store `content` durably and return its digest."""
        with self.batch() as batch:
            return batch.put(content)

    def put_fd(self, source: int, *, max_bytes: int | None = None) -> tuple[Sha256, int]:
        """Store what is left to read from `source`, durably, and return its digest and size.

        It is read once, in constant memory. Raises `InputTooLarge` beyond `max_bytes`.
        """
        with self.batch() as batch:
            return batch.put_fd(source, max_bytes=max_bytes)

    @contextmanager
    def batch(self) -> Iterator[ContentBatch]:
        """Store several objects for the price of few waits for the disk.

        They are there, durable, when the block ends; none is if it raises.
        """
        batch = ContentBatch(self._objects, self._incoming, self._waiters)
        try:
            yield batch
            with _translated(self._root):
                batch.finish()
        finally:
            batch.discard()

    def has(self, sha256: Sha256) -> bool:
        """Say whether an object of this name is there. Whether it is intact shows when it is read."""
        return self.path(sha256).is_file()

    def get(self, sha256: Sha256, *, max_bytes: int) -> bytes:
        """Return the object. Raises `StoreError` if it is missing or damaged, `InputTooLarge` beyond `max_bytes`."""
        with self._open(sha256) as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise InputTooLarge(
                    f"an object of {size} bytes is larger than the {max_bytes} expected here",
                    where=str(self.path(sha256)),
                    fix="check that the digest names what you mean",
                )
            with _translated(self._root):
                content = file.read(max_bytes + 1)
        if sha256_hex(content) != sha256:
            raise self._damaged(sha256)
        return content

    def open_verified(self, sha256: Sha256) -> BufferedReader:
        """Return the object open for reading at its start, after all of it was hashed."""
        file = self._open(sha256)
        try:
            with _translated(self._root):
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != sha256:
                raise self._damaged(sha256)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def copy_to(self, sha256: Sha256, destination: int) -> int:
        """Write the object to the file `destination`, hashing what is written, and return its size.

        Raises `StoreError` if it is missing or damaged; then `destination` is emptied, as it held bytes not verified.
        """
        with self._open(sha256) as file:
            try:
                with _translated(self._root):
                    digest, size = copy_hashing(file.fileno(), destination)
                if digest != sha256:
                    raise self._damaged(sha256)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(destination, 0)
                raise
        return size

    def find_problem(self, sha256: Sha256) -> Literal["missing", "damaged"] | None:
        """Hash the whole object and say what is wrong with it, None if nothing is."""
        if not self.has(sha256):
            return "missing"
        try:
            self.open_verified(sha256).close()
        except StoreError:
            return "damaged"
        return None

    def path(self, sha256: Sha256) -> Path:
        """Return where the object lies or would lie. Raises `UsageError` for what is not a digest."""
        if not _DIGEST.fullmatch(sha256):  # it becomes a path, so nothing but hex may come through here
            raise UsageError(
                f"{sha256[:80]!r} is not a sha256 digest", where=str(self._root), fix="give 64 lower-case hex digits"
            )
        return self._objects / sha256[:2] / sha256

    def _open(self, sha256: Sha256) -> BufferedReader:
        path = self.path(sha256)
        try:
            # Without O_NONBLOCK a FIFO planted here would hang us; a link would lead elsewhere.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise StoreError(
                f"the store has no object sha256:{sha256}",
                where=str(path),
                fix="put it back from a copy of the store, or run the pipeline again",
            ) from error
        except OSError as error:
            raise _store_error(error, path) from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise self._damaged(sha256)
        return os.fdopen(handle, "rb")

    def _damaged(self, sha256: Sha256) -> StoreError:
        return StoreError(
            f"the object sha256:{sha256} is damaged: its content has another digest",
            where=str(self.path(sha256)),
            fix="move that file away and put it back from a copy of the store, or run the pipeline again",
        )

    def _sweep(self) -> None:
        """Remove what a policyd that was killed left behind, and nothing that one may still be writing."""
        oldest = time.time() - STALE_SECONDS
        with os.scandir(self._incoming) as left:
            for entry in left:
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        os.unlink(entry.path)


class _Waiters:
    """Waits for the disk at several files at once: the file system then does it in one go (half the time, measured)."""

    THREADS = 4

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None

    def run(self, work: Callable[[T], None], items: Sequence[T]) -> None:
        """Do `work` on each item. Raises what any of them raised, after all have ended."""
        if len(items) <= 1:
            for item in items:
                work(item)
            return
        from concurrent.futures import ThreadPoolExecutor, wait

        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(self.THREADS)
        doing = [self._pool.submit(work, item) for item in items[1:]]
        try:
            work(items[0])  # no thread has to be woken for this one
        finally:
            wait(doing)  # a file must not be closed under a thread that still waits for it
        for one in doing:
            one.result()


@dataclass(slots=True)
class _Incoming:
    """A file on its way into the store."""

    path: Path
    handle: int
    sha256: Sha256 = ""
    size: int = 0


@dataclass(slots=True)
class ContentBatch:
    """Objects on their way into the store; made by `ContentStore.batch`."""

    _objects: Path
    _folder: Path
    _waiters: _Waiters
    _files: list[_Incoming] = field(default_factory=list)

    def put(self, content: bytes) -> Sha256:
        """Write `content` and return its digest."""
        sha256 = sha256_hex(content)
        with _translated(self._folder):
            if not self._is_stored(sha256, len(content)):
                file = self._new()
                write_all(file.handle, content)
                file.sha256, file.size = sha256, len(content)
        return sha256

    def put_fd(self, source: int, *, max_bytes: int | None = None) -> tuple[Sha256, int]:
        """Write what is left to read from `source` and return its digest and size."""
        with _translated(self._folder):
            file = self._new()
            file.sha256, file.size = copy_hashing(source, file.handle, max_bytes=max_bytes, flush=True)
        return file.sha256, file.size

    def finish(self) -> None:
        """Make everything durable, then let it appear under its digest."""
        # 1. The bytes are on the disk before any name leads to them.
        self._waiters.run(os.fsync, [file.handle for file in self._files])

        # 2. What is there already and has the right size is replaced too: if it was damaged, now it is whole again.
        folders: set[Path] = set()
        for file in self._files:
            target = self._objects / file.sha256[:2] / file.sha256
            self._is_stored(file.sha256, file.size)
            os.rename(file.path, target)
            folders.add(target.parent)

        # 3. The names are on the disk before anybody is told.
        self._waiters.run(sync_folder, sorted(folders))

    def discard(self) -> None:
        """Remove the files that were on their way, whatever became of them."""
        for file in self._files:
            os.close(file.handle)
            file.path.unlink(missing_ok=True)
        self._files.clear()

    def _new(self) -> _Incoming:
        path = self._folder / secrets.token_hex(16)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = _Incoming(path, os.open(path, flags, 0o400))
        self._files.append(file)
        return file

    def _is_stored(self, sha256: Sha256, size: int) -> bool:
        """Say whether the object is there. One of another size is damaged, and is not taken for it."""
        path = self._objects / sha256[:2] / sha256
        try:
            state = path.lstat()
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(state.st_mode) or state.st_size != size:
            raise StoreError(
                f"the object sha256:{sha256} is damaged: its content has another size",
                where=str(path),
                fix="move that file away and try again",
            )
        return True


def copy_hashing(source: int, sink: int, *, max_bytes: int | None = None, flush: bool = False) -> tuple[Sha256, int]:
    """Copy from one descriptor to the other until the end and return digest and size of what went through.

    Large files are read, hashed and written at the same time: hashlib and the system calls let go of the interpreter.
    With `flush` the disk starts writing early. Raises `OSError`, and `InputTooLarge` beyond `max_bytes`.
    """
    digest, size = hashlib.sha256(), 0
    for most in (SMALL_BYTES, CHUNK_BYTES):
        buffer = memoryview(bytearray(most))
        count = _fill(source, buffer)
        size += count
        _require_size(size, max_bytes)
        digest.update(buffer[:count])
        write_all(sink, buffer[:count])
        if count < most:
            return digest.hexdigest(), size

    from concurrent.futures import ThreadPoolExecutor

    buffers = [buffer, *(memoryview(bytearray(CHUNK_BYTES)) for _ in range(CHUNKS - 1))]
    # One worker a pool: pieces are hashed in order.
    with ThreadPoolExecutor(1) as hasher, ThreadPoolExecutor(1) as flusher:
        hashing: list[Future[None] | None] = [None] * CHUNKS
        flushing: Future[None] | None = None
        flushed, turn = 0, 0
        while True:
            _wait(hashing[turn])
            count = _fill(source, buffers[turn])
            if count == 0:
                break
            size += count
            _require_size(size, max_bytes)
            piece = buffers[turn][:count]
            hashing[turn] = hasher.submit(digest.update, piece)
            write_all(sink, piece)
            turn = (turn + 1) % CHUNKS
            if flush and size - flushed >= FLUSH_BYTES and (flushing is None or flushing.done()):
                _wait(flushing)  # the kernel tells of a failed write once, maybe here
                flushing, flushed = flusher.submit(os.fdatasync, sink), size
        for one in (*hashing, flushing):
            _wait(one)
    return digest.hexdigest(), size


def _fill(source: int, buffer: memoryview) -> int:
    """Read until `buffer` is full or the end is reached; return how much it holds."""
    count = 0
    while count < len(buffer):
        read = os.readv(source, [buffer[count:]])
        if read == 0:
            break
        count += read
    return count


def _wait(work: Future[None] | None) -> None:
    if work is not None:
        work.result()


def _require_size(size: int, max_bytes: int | None) -> None:
    if max_bytes is not None and size > max_bytes:
        raise InputTooLarge(
            f"a file is larger than the {max_bytes} bytes allowed here", where="content store", fix="make it smaller"
        )


@contextmanager
def _translated(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _store_error(error, where) from error


def _store_error(error: OSError, where: Path, full: Sequence[int] = _FULL) -> StoreError:
    if error.errno in full:
        return StoreError(
            f"the store can't take more: {os.strerror(error.errno or 0).lower()}",
            where=str(where),
            fix="free space on that file system and try again; nothing half-written was left",
        )
    return StoreError(
        f"the store can't be used: {(error.strerror or str(error)).lower()}",
        where=str(error.filename or where),
        fix="check that the folder is there and that you may use it",
    )
