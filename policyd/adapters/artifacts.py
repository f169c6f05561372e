"""Artifacts that a user names for verification: a file, a folder of files, or a digest.

Each file is opened once and read once, through one descriptor, and judged by what was read: what lies under its name
afterwards is another question. A file that is written to while it is read is refused, since then nobody can say which
of its states was verified.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.beneath import CHUNK_BYTES, is_regular, open_file, opened_folder
from policyd.attestation.direct import ArtifactFile
from policyd.attestation.dsse import PAE_START
from policyd.attestation.keys import DigestName
from policyd.errors import InputTooLarge, UsageError, VerificationFailed

#: What is kept of a file for an Ed25519 key, which signs the content itself.
MAX_KEPT_BYTES = 64 * 1024 * 1024
MAX_FILES = 100_000
MAX_DEPTH = 64
_DIGEST = re.compile(r"(sha256|sha384|sha512):([0-9a-f]+)", re.ASCII)
_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

#: A file as the system names it, whatever path leads to it: device and inode.
FileId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a user named: its files, and whether it was a folder or only a digest."""

    name: str
    kind: str
    files: tuple[ArtifactFile, ...]


def names_digest(text: str) -> bool:
    """Say whether `text` is a digest (`sha256:HEX`) and no file of that name is there."""
    found = _DIGEST.fullmatch(text)
    return found is not None and len(found[2]) == _LENGTHS[found[1]] and not os.path.lexists(text)


def read_artifact(
    text: str,
    digests: Collection[DigestName],
    *,
    keep_content: bool = False,
    with_package: bool = False,
    leave_out: Collection[FileId] = (),
) -> Artifact:
    """Return the artifact that `text` names, its files hashed with `digests`; `leave_out` are no part of a folder.

    `with_package` also asks which npm package each file is. Raises `UsageError` where there is nothing to verify,
    `VerificationFailed` for a file that changes while it is read, `InputTooLarge` beyond what is kept or listed.
    """
    if names_digest(text):
        name, _, value = text.partition(":")
        algorithm: DigestName = next(known for known in ("sha256", "sha384", "sha512") if known == name)
        return Artifact(text, "digest", (ArtifactFile(text, {algorithm: bytes.fromhex(value)}, is_named=False),))
    path = Path(text)
    try:
        # A link that a user names is followed: it is the user's. Links inside a folder are not.
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
        if not is_folder:
            descriptor = os.open(path, _OPEN)
    except (OSError, ValueError) as error:
        raise _unreadable(text, error) from error
    if is_folder:
        files = tuple(_read_folder(path, digests, keep_content, with_package, frozenset(leave_out)))
        if not files:
            raise UsageError("the folder holds no file to verify", where=text, fix="name the folder of a release")
        return Artifact(text, "folder", files)
    try:
        file = hash_open_file(descriptor, path.name, digests, keep_content=keep_content, with_package=with_package)
        return Artifact(path.name, kind_of(path.name), (file,))
    except OSError as error:
        raise _unreadable(text, error) from error
    finally:
        os.close(descriptor)


def kind_of(name: str) -> str:
    """Return what a file is by its name, for people."""
    if name.endswith(".whl"):
        return "wheel"
    if name.endswith(".tgz"):
        return "npm package"
    if name.endswith((".tar.gz", ".tar.bz2", ".zip")):
        return "archive"
    return "file"


def hash_open_file(
    descriptor: int,
    name: str,
    digests: Collection[DigestName],
    *,
    keep_content: bool = False,
    with_package: bool = False,
    after_chunk: Callable[[], None] = lambda: None,
) -> ArtifactFile:
    """Return the regular file behind `descriptor`, read once to its end, by whoever needs its bytes at the same time.

    `after_chunk` is called after each piece. Raises as `read_artifact`.
    """
    # 1. What was opened, before the first byte.
    before = os.fstat(descriptor)
    if not is_regular(before):
        raise UsageError("this is not a regular file", where=name, fix="name a file, a folder or a digest")
    if keep_content and before.st_size > MAX_KEPT_BYTES:
        raise _too_large(name)

    # 2. Its bytes.
    hashers = {digest: hashlib.new(digest) for digest in digests}
    buffer = memoryview(bytearray(CHUNK_BYTES))
    size, start, kept = 0, b"", bytearray()

    def take(most: int = CHUNK_BYTES) -> memoryview:
        nonlocal size, start, kept
        chunk = buffer[: os.readv(descriptor, [buffer[:most]])]
        for hasher in hashers.values():
            hasher.update(chunk)
        if len(start) < len(PAE_START):
            start = (start + chunk[: len(PAE_START)])[: len(PAE_START)]
        if keep_content and size <= MAX_KEPT_BYTES:
            kept += chunk
        size += len(chunk)
        after_chunk()
        return chunk

    package = None
    if with_package:
        from policyd.adapters.npm_tarball import read_npm_package  # tarfile takes as long to import as a key to verify

        package = read_npm_package(lambda most: bytes(take(most)))
    while take():
        pass

    # 3. The same file as before, of the size that was read.
    after = os.fstat(descriptor)
    if _state(before) != _state(after) or size != after.st_size:
        raise VerificationFailed(
            f"{name} changed while it was read",
            where=name,
            fix="verify it again when nothing writes to it; better: where nothing else can",
        )
    return ArtifactFile(
        name=name,
        digests={digest: hasher.digest() for digest, hasher in hashers.items()},
        content=bytes(kept) if keep_content else None,
        begins_as_envelope=start == PAE_START,
        package=package,
    )


def file_ids(paths: Collection[Path]) -> Mapping[FileId, Path]:
    """Return the files at `paths` by what the system calls them; those that are not there are left out."""
    found: dict[FileId, Path] = {}
    for path in paths:
        try:
            state = os.stat(path)
        except OSError:
            continue
        found[(state.st_dev, state.st_ino)] = path
    return found


def list_folder(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, sorted; `UsageError` for links and special files in it."""
    found: list[str] = []
    try:
        with opened_folder(folder.resolve()) as root:
            _list(root, "", found, 0, str(folder))
    except OSError as error:
        raise _unreadable(str(folder), error) from error
    return sorted(found)


def _read_folder(
    folder: Path,
    digests: Collection[DigestName],
    keep_content: bool,
    with_package: bool,
    leave_out: frozenset[FileId],
) -> Iterator[ArtifactFile]:
    names = list_folder(folder)
    kept = 0
    try:
        with opened_folder(folder.resolve()) as root:
            for name in names:
                *parts, last = name.split("/")
                descriptor = _open_beneath(root, parts, last)
                try:
                    state = os.fstat(descriptor)
                    if (state.st_dev, state.st_ino) in leave_out:
                        continue
                    kept += state.st_size if keep_content else 0
                    if kept > MAX_KEPT_BYTES:
                        raise _too_large(str(folder))
                    yield hash_open_file(
                        descriptor, name, digests, keep_content=keep_content, with_package=with_package
                    )
                finally:
                    os.close(descriptor)
    except OSError as error:
        raise _unreadable(str(folder), error) from error


def _open_beneath(root: int, parts: list[str], last: str) -> int:
    if not parts:
        return open_file(last, root)
    with opened_folder(parts[0], root) as inner:
        return _open_beneath(inner, parts[1:], last)


def _list(folder: int, prefix: str, found: list[str], depth: int, where: str) -> None:
    if depth > MAX_DEPTH:
        raise InputTooLarge(f"folders are nested deeper than {MAX_DEPTH}", where=where, fix="name the folder itself")
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                with opened_folder(entry.name, folder) as inner:
                    _list(inner, f"{path}/", found, depth + 1, where)
            elif not entry.is_file(follow_symlinks=False):
                raise UsageError(
                    f"{path} is a link or a special file",
                    where=where,
                    fix="a release is made of files: take it out, or name the files",
                )
            else:
                found.append(path)
                if len(found) > MAX_FILES:
                    raise InputTooLarge(f"more than {MAX_FILES} files", where=where, fix="name the folder itself")


def _state(state: os.stat_result) -> tuple[int, ...]:
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _unreadable(text: str, error: OSError | ValueError) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) else None
    return UsageError(
        f"it can't be read: {(reason or str(error)).lower()}",
        where=text,
        fix="name a file, a folder or a digest (sha256:HEX)",
    )


def _too_large(where: str) -> InputTooLarge:
    return InputTooLarge(
        f"an Ed25519 key signs the content itself, and at most {MAX_KEPT_BYTES} bytes are kept",
        where=where,
        fix="have it signed with an ECDSA key",
    )
