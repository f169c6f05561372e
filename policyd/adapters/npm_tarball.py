"""What an npm tarball says it is: name and version in its `package.json`, read while the file is hashed.

npm unpacks the first folder of the archive away, whatever it is called, and of two files with one path takes the last;
so there has to be one `package.json` right below a first folder, and it has to be a file. The archive is read as a
stream, nothing is unpacked to a disk, and what its headers claim is bounded before anything is read by it.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
import zlib
from collections.abc import Callable
from typing import IO, Self, cast

from policyd.attestation.names import NpmPackage
from policyd.errors import PolicydError
from policyd.models.strict_json import read_json

MAX_MEMBERS = 200_000
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024  # of all members; a large package has 200 MB
MAX_PACKAGE_JSON_BYTES = 1024 * 1024
_MAX_HEADER_BYTES = 64 * 1024  # an extended header: tarfile reads it at once
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _Unusable(Exception):
    """The archive is beyond a bound; the message says which."""


def read_npm_package(read: Callable[[int], bytes]) -> NpmPackage | str:
    """Return name and version of the package in the gzipped tarball that `read` gives, or why there is none.

    `read` may be left before the end.
    """
    found: list[bytes] = []
    try:
        # gzip's own reader: tarfile's raises TypeError for some headers, and ends after the first of several parts.
        plain = gzip.GzipFile(fileobj=cast("IO[bytes]", _Stream(read)), mode="rb")
        with tarfile.open(fileobj=plain, mode="r|", tarinfo=_bounded(), errorlevel=2) as archive:
            for member in archive:
                archive.members.clear()  # type: ignore[attr-defined]  # a list of all that was seen, which nobody needs
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if len(parts) != 2 or parts[1].lower() != "package.json":
                    continue
                file = archive.extractfile(member) if member.isreg() and parts[1] == "package.json" else None
                if file is None or member.size > MAX_PACKAGE_JSON_BYTES or found:
                    return "it has no single package.json, or one that is no small file"
                found.append(file.read(MAX_PACKAGE_JSON_BYTES))
    except _Unusable as error:
        return str(error)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError) as error:
        return f"it is no gzipped tar archive ({str(error)[:80]})"
    return _read_package_json(found[0]) if found else "it has no package.json"


def _read_package_json(content: bytes) -> NpmPackage | str:
    try:
        value = read_json(content, where="package.json", max_bytes=MAX_PACKAGE_JSON_BYTES, max_depth=64)
    except PolicydError as error:
        return f"its package.json can't be read: {error.cause}"
    name = value.get("name") if isinstance(value, dict) else None
    version = value.get("version") if isinstance(value, dict) else None
    if not isinstance(name, str) or not isinstance(version, str):
        return "its package.json names no package"
    return NpmPackage(name, version)


class _Stream:
    """What gzip reads from: nothing but `read` is asked of it."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


def _bounded() -> type[tarfile.TarInfo]:
    """Return a class of headers that stops an archive at our bounds, counted anew for each archive."""
    members = unpacked = 0

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            nonlocal members, unpacked
            header = super().frombuf(buf, encoding, errors)
            members += 1
            unpacked += max(header.size, 0)
            if members > MAX_MEMBERS or unpacked > MAX_UNPACKED_BYTES:
                raise _Unusable(f"it has more than {MAX_MEMBERS} members or {MAX_UNPACKED_BYTES} bytes")
            if header.size < 0 or header.type == tarfile.GNUTYPE_SPARSE:
                raise _Unusable("it holds a sparse file, which npm does not write")
            if header.type in _EXTENDED and header.size > _MAX_HEADER_BYTES:
                raise _Unusable(f"it has a header of more than {_MAX_HEADER_BYTES} bytes")
            return header

    return Header
