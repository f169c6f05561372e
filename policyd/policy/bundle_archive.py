"""The `.tar.gz` of a policy bundle: files to bytes and back, the same bytes for the same files everywhere.

An archive can say much that no policy set means: links, devices, owners, a file twice, a file after the end. So there
is one spelling. The writer makes it; the reader rebuilds each header from the name and size it found and takes nothing
that differs. Nothing is ever written to a disk.

The deflate stream stores and does not compress: zlib and its replacements compress the same bytes differently, and a
bundle that comes out different on another machine could not be compared with its folder. Compressed streams are read
all the same, through a window of constant size.

Source: POSIX.1-1988 ustar; RFC 1952 (gzip) sections 2.3 and 2.3.1; RFC 1951 (deflate) section 3.2.4.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Mapping

from policyd.errors import PolicyError

MAX_BUNDLE_BYTES = 16 * 1024 * 1024  # of the file, and of what it unpacks to: thirty times the library
MAX_BUNDLE_FILES = 2100  # what a policy set may hold, and a little more
MAX_PATH_CHARACTERS = 200  # a family, a rule and a file; ustar takes 256
MAX_PARTS = 9  # how deep a policy folder may be

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_WINDOW = 64 * 1024
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, unknown system
_MAX_STORED = 0xFFFF
_GZIP = 31  # zlib's word for: a gzip stream, with its header and checksum
_PART = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", re.ASCII)
_FIX = "make it with `policyd policy bundle`, and hand it on unchanged"


def write_archive(files: Mapping[str, bytes], *, where: str) -> bytes:
    """Return the archive of `files` (path → content).

    Raises `PolicyError` for a path that can't stand in a bundle, and beyond the bounds above.
    """
    _require_distinct(files, where)
    if len(files) > MAX_BUNDLE_FILES:
        raise _refused(f"more than {MAX_BUNDLE_FILES} files", where)
    parts = []
    for path, content in sorted(files.items()):
        parts += [_header(path, len(content)), content, bytes(-len(content) % _BLOCK)]
    tar = b"".join([*parts, _END])
    if len(tar) > MAX_BUNDLE_BYTES:
        raise _refused(f"more than {MAX_BUNDLE_BYTES} bytes", where)
    return _store(tar)


def read_archive(content: bytes, *, where: str) -> dict[str, bytes]:
    """Return the files in an archive (path → content); `PolicyError` for anything but what `write_archive` writes.

    Unpacks no more than `MAX_BUNDLE_BYTES`, and never a file before its name, kind and size were looked at.
    """
    stream = _Unpacked(content, where)
    files: dict[str, bytes] = {}
    last = ""
    while True:
        # 1. The next header, or the end: two empty blocks, and nothing after them.
        block = stream.read(_BLOCK)
        if block == bytes(_BLOCK):
            if stream.read(_BLOCK) != bytes(_BLOCK):
                raise _refused("it does not end as an archive does", where)
            stream.require_end()
            break
        # 2. A regular file with a plain name below the bundle.
        path, size = _read_header(block, where)
        # 3. In order, so none twice; bounded before it is read.
        if path <= last:
            raise _refused(f"{path!r} is there twice" if path in files else f"{path!r} is not in its place", where)
        if len(files) >= MAX_BUNDLE_FILES:
            raise _refused(f"it holds more than {MAX_BUNDLE_FILES} files", where)
        if size > MAX_BUNDLE_BYTES:
            raise _refused(f"{path!r} has {size} bytes, more than the {MAX_BUNDLE_BYTES} that are read", where)
        # 4. The header says that and nothing else: no owner, time, mode or extension that another reader would see.
        if block != _header(path, size):
            raise _refused(f"the header of {path!r} is not as policyd writes it", where)
        files[path] = stream.read(size)
        if stream.read(-size % _BLOCK).strip(b"\0"):
            raise _refused(f"something stands behind {path!r}", where)
        last = path
    _require_distinct(files, where)
    return files


class _Unpacked:
    """The bytes of a gzip stream, unpacked as they are asked for and counted."""

    def __init__(self, content: bytes, where: str) -> None:
        self._packed = memoryview(content)
        self._where = where
        self._inflate = zlib.decompressobj(_GZIP)
        self._buffer = bytearray()
        self._left = MAX_BUNDLE_BYTES

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        while len(self._buffer) < size:
            if not self._fill():
                raise _refused("it was cut short", self._where)
        content = bytes(self._buffer[:size])
        del self._buffer[:size]
        return content

    def require_end(self) -> None:
        """Raise where anything follows: in the archive, or in the file behind it."""
        if self._buffer or self._fill() or not self._inflate.eof or self._inflate.unused_data or self._packed:
            raise _refused("something stands behind its end", self._where)

    def _fill(self) -> bool:
        """Unpack a little more; False where the stream has no more."""
        while not self._inflate.eof:
            waiting = self._inflate.unconsumed_tail
            if not waiting:
                waiting = bytes(self._packed[:_WINDOW])
                self._packed = self._packed[_WINDOW:]
            try:
                found = self._inflate.decompress(waiting, _WINDOW)
            except zlib.error as error:
                raise _refused("it is no gzip file", self._where) from error
            if found:
                self._left -= len(found)
                if self._left < 0:
                    raise _refused(f"it unpacks to more than {MAX_BUNDLE_BYTES} bytes", self._where)
                self._buffer += found
                return True
            if not waiting:
                return False
        return False


def _read_header(block: bytes, where: str) -> tuple[str, int]:
    try:
        entry = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeError) as error:
        raise _refused("it holds no tar archive, or a changed one", where) from error
    if entry.issym() or entry.islnk():
        raise _refused(f"{entry.name!r} is a link", where)
    if entry.isdev() or entry.isdir():
        raise _refused(f"{entry.name!r} is a {'folder' if entry.isdir() else 'device'}", where)
    if entry.type != tarfile.REGTYPE or entry.size < 0:
        raise _refused(f"{entry.name!r} is not a regular file", where)
    _require_plain(entry.name, where)
    return entry.name, entry.size


def _require_plain(path: str, where: str) -> None:
    if path.startswith("/"):
        raise _refused(f"the path {path!r} is absolute", where)
    parts = path.split("/")
    if ".." in parts:
        raise _refused(f"the path {path!r} leads out of the bundle", where)
    if len(path) > MAX_PATH_CHARACTERS or len(parts) > MAX_PARTS:
        raise _refused(f"the path {path[:MAX_PATH_CHARACTERS]!r} is too long", where)
    if not all(_PART.fullmatch(part) and part != "." for part in parts):
        raise PolicyError(
            f"the path {path!r} can't stand in a bundle",
            where=where,
            fix="use letters, digits, `_`, `-` and `.` in the names of files and folders",
        )


def _require_distinct(files: Mapping[str, bytes], where: str) -> None:
    """Raise where two paths are one on a system that does not tell upper from lower case."""
    seen: dict[str, str] = {}
    for path in sorted(files):
        other = seen.setdefault(path.lower(), path)
        if other != path:
            raise PolicyError(
                f"{other!r} and {path!r} differ only in case", where=where, fix="rename one: some systems hold only one"
            )


def _header(path: str, size: int) -> bytes:
    _require_plain(path, path)
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = size, 0o644  # everything else is zero or empty
    try:
        return entry.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    except ValueError as error:  # ustar splits a path at a slash, and a name of more than 100 has none
        raise _refused(f"the path {path!r} is too long", path) from error


def _store(content: bytes) -> bytes:
    """Return a gzip file that holds `content` in stored blocks."""
    parts = [_GZIP_HEADER]
    for start in range(0, len(content), _MAX_STORED):
        piece = content[start : start + _MAX_STORED]
        final = start + _MAX_STORED >= len(content)
        length = len(piece)
        parts += [bytes([final]), length.to_bytes(2, "little"), (length ^ 0xFFFF).to_bytes(2, "little"), piece]
    parts += [zlib.crc32(content).to_bytes(4, "little"), (len(content) & 0xFFFFFFFF).to_bytes(4, "little")]
    return b"".join(parts)


def _refused(cause: str, where: str) -> PolicyError:
    return PolicyError(f"this is no policy bundle: {cause}", where=where, fix=_FIX)
