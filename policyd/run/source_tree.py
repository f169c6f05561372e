"""The source tree as a document: each file by path, mode and digest. Its own SHA-256 is what a plan names.

Modes are git's: `100644`, `100755` (may be executed), `120000` (a link; the digest is that of its target, as bytes) and
`160000` (a submodule; the digest is that of its commit id). Sorted by path, RFC 8785, so the same files give the same
bytes on every machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from policyd.errors import SourceError
from policyd.models.base import Sha256
from policyd.models.canonical import canonical_json, sha256_hex
from policyd.run.globs import matches

Mode = Literal["100644", "100755", "120000", "160000"]

FILE: Mode = "100644"
PROGRAM: Mode = "100755"
LINK: Mode = "120000"
SUBMODULE: Mode = "160000"

MAX_ENTRIES = 1_000_000
MAX_PATH_BYTES = 4096
MAX_DEPTH = 128
_MODES = frozenset((FILE, PROGRAM, LINK, SUBMODULE))
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class TreeEntry:
    """One file of a tree; `path` is relative, with `/`."""

    path: str
    mode: Mode
    sha256: Sha256


@dataclass(frozen=True)
class TreeManifest:
    """A source tree. Built by `make_manifest` and `read_manifest` alone, so its paths are plain and sorted.

    `commit` and `clean` are facts about where it was read, and no part of its bytes or name.
    """

    entries: tuple[TreeEntry, ...]
    commit: str | None = None  # the git commit checked out
    clean: bool | None = None  # it is that commit's tree, file for file; None where there is no commit

    @cached_property
    def content(self) -> bytes:
        """The manifest's own bytes, to be stored."""
        entries = [[entry.path, entry.mode, entry.sha256] for entry in self.entries]
        return canonical_json({"policyd": "tree/v1", "entries": entries})

    @cached_property
    def sha256(self) -> Sha256:
        """The tree's name."""
        return sha256_hex(self.content)

    @property
    def files(self) -> int:
        """How many files and links it has."""
        return sum(entry.mode != SUBMODULE for entry in self.entries)

    def digest_of(self, path: str) -> Sha256 | None:
        """Return the digest of the regular file `path`, or None where the tree has none of that name."""
        return self._files.get(path)

    def content_digests(self) -> frozenset[Sha256]:
        """Return the digests of all regular files."""
        return frozenset(self._files.values())

    @cached_property
    def _files(self) -> dict[str, Sha256]:
        return {entry.path: entry.sha256 for entry in self.entries if entry.mode in (FILE, PROGRAM)}


def make_manifest(
    entries: Iterable[TreeEntry], *, commit: str | None = None, clean: bool | None = None
) -> TreeManifest:
    """Return the manifest of `entries`.

    Raises `SourceError` for a path that is not plain (absolute, `..`, not Unicode, too long), comes twice, or lies
    below a file or link of the same tree.
    """
    ordered = tuple(sorted(entries))
    if len(ordered) > MAX_ENTRIES:
        raise SourceError(
            f"the tree has more than {MAX_ENTRIES} files", where="source tree", fix="keep generated files out of it"
        )
    files: set[str] = set()
    for entry in ordered:
        _require_plain_path(entry.path)
        if entry.path in files:
            raise SourceError("a path comes twice in the source tree", where=ascii(entry.path), fix="read it again")
        files.add(entry.path)
    for entry in ordered:
        for parent in _parents(entry.path):
            if parent in files:
                raise SourceError(
                    f"{entry.path!a} lies below {parent!a}, which is no folder",
                    where="source tree",
                    fix="read it again",
                )
    return TreeManifest(ordered, commit, clean)


def read_manifest(content: bytes) -> TreeManifest:
    """Parse a manifest's bytes. Raises `SourceError` unless they are exactly what `TreeManifest.content` would be."""
    try:
        document = json.loads(content)
        entries = [_read_entry(entry) for entry in document["entries"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _malformed() from error
    manifest = make_manifest(entries)
    if manifest.content != content:
        raise _malformed()
    return manifest


def select(manifest: TreeManifest, globs: Sequence[str] | None) -> tuple[TreeEntry, ...]:
    """Return the entries that match any of `globs`; all of them where it is None.

    Raises `SourceError` for a glob that matches nothing: a stage that silently gets less than it names would test or
    scan nothing and pass.
    """
    if globs is None:
        return manifest.entries
    unused = set(globs)
    chosen = []
    for entry in manifest.entries:
        used = [glob for glob in globs if matches(glob, entry.path)]
        if used:
            chosen.append(entry)
            unused.difference_update(used)
    for glob in globs:
        if glob in unused:
            raise SourceError(
                "this source glob matches no file",
                where=ascii(glob),
                fix=f"mend or remove it; for all files of a folder write {glob.rstrip('/')}/**",
            )
    return tuple(chosen)


def require_inside(entry: TreeEntry, target: bytes) -> str:
    """Return the target of the link `entry` if following it stays in the tree, else raise `SourceError`.

    Only leading `..` are taken: they climb folders that are really there, so they can be counted. One after a name
    could climb out of wherever another link leads, and to tell would mean to follow it.
    """
    try:
        text = target.decode()
    except UnicodeDecodeError as error:
        raise _leaves(entry, ascii(target)) from error
    parts = text.split("/")
    climbs = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    if not text or text.startswith("/") or ".." in parts[climbs:] or climbs > entry.path.count("/") or "\0" in text:
        raise _leaves(entry, ascii(text))
    return text


def _read_entry(entry: object) -> TreeEntry:
    match entry:
        case [str() as path, str() as mode, str() as sha256] if mode in _MODES and _SHA256.fullmatch(sha256):
            return TreeEntry(path, mode, sha256)
        case _:
            raise ValueError("not an entry")


def _require_plain_path(path: str) -> None:
    parts = path.split("/")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        size = -1
    if (
        not 0 < size <= MAX_PATH_BYTES
        or len(parts) > MAX_DEPTH
        or "\0" in path
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise SourceError(
            "the source tree has a path that can't be used (not Unicode, too long or not plain)",
            where=ascii(path)[:400],
            fix="rename or remove that file",
        )


def _parents(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _leaves(entry: TreeEntry, target: str) -> SourceError:
    return SourceError(
        f"a link of the source leads out of it, to {target[:200]}",
        where=ascii(entry.path),
        fix="make it a relative link within the source, or leave it out with source globs",
    )


def _malformed() -> SourceError:
    return SourceError("this is not a source tree manifest", where="source tree", fix="plan the run again")
