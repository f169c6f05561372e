"""Read a source tree into a manifest, and make files of it again for a stage.

Reading: each file is opened beneath the root without following links, read once through one descriptor, and stored
while it is hashed, so what is judged later is what runs later. Making: from the store only, each file hashed again
while it is written.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from policyd.adapters.beneath import (
    hash_descriptor,
    make_folders,
    open_file,
    opened_folder,
    opened_folder_beneath,
    read_chunks,
    write_new,
)
from policyd.adapters.sandboxes.workspace import writing_for_stage
from policyd.adapters.sources.git import Checkout, ObjectFormat, find_checkout, git_tree_id
from policyd.errors import SourceError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.settings import OperatorSettings
from policyd.run.source_tree import (
    FILE,
    LINK,
    MAX_DEPTH,
    MAX_ENTRIES,
    PROGRAM,
    SUBMODULE,
    Mode,
    TreeEntry,
    TreeManifest,
    make_manifest,
    require_inside,
    select,
)

logger = logging.getLogger(__name__)

#: Reads a descriptor to its end into the store; returns digest and size of what was read.
Put = Callable[[int], tuple[Sha256, int]]

#: Never part of a source tree, at any depth: what git and policyd keep for themselves.
NEVER = frozenset((".git", ".policyd"))


class Content(Protocol):
    """What `materialise` needs of the store."""

    def copy_to(self, sha256: Sha256, destination: int) -> int:
        """Write the object to `destination`; raise where its bytes are not what `sha256` names."""


def read_tree(root: Path, *, put: Put | None = None, operator: OperatorSettings | None = None) -> TreeManifest:
    """Return the manifest of the source tree at `root`.

    In a git checkout the tree is what git tracks there and what is neither tracked nor ignored, submodules by their
    commit; elsewhere, or where git or its sandbox is missing, all files. `put` stores each file, each link's target and
    the manifest. Raises `SourceError` for what no tree can hold: special files, names that are not Unicode, a file that
    can't be read.
    """
    checkout = find_checkout(root, operator)
    with opened_folder(root) as folder:
        paths = _all_paths(folder, NEVER) if checkout is None else _without(checkout.paths, NEVER)
        read = _read(folder, paths, put or hash_descriptor, checkout)
    commit = checkout.commit if checkout else None
    clean = None
    if checkout is not None and commit is not None:
        clean = git_tree_id(((file.entry.path, file.entry.mode, file.git_id) for file in read), checkout.format) == (
            checkout.tree_id
        )
    manifest = make_manifest((file.entry for file in read), commit=commit, clean=clean)
    if put is not None:
        stored = _keep(manifest.content, put)
        assert stored == manifest.sha256
    return manifest


def read_folder(root: Path) -> TreeManifest:
    """Return the manifest of every file below `root`, whatever git thinks of it: a tool, not a source tree.

    Raises `SourceError` for special files, so a folder that holds a socket never becomes a tool.
    """
    with opened_folder(root) as folder:
        return make_manifest(file.entry for file in _read(folder, _all_paths(folder, frozenset()), hash_descriptor))


def materialise(
    manifest: TreeManifest, content: Content, destination: Path, *, globs: Sequence[str] | None, uid: int | None
) -> None:
    """Make the files of `manifest` that match `globs` (None: all) in the empty folder `destination`.

    They belong to the stage's `uid` where that is not ours. Submodules become empty folders. Raises `SourceError` for a
    glob that matches nothing and for a link that leads out of the tree, `StoreError` for damaged content.
    """
    owner = None if uid is None else (uid, uid)
    entries = select(manifest, globs)
    links = {entry: require_inside(entry, _link_target(entry, content)) for entry in entries if entry.mode == LINK}
    with writing_for_stage(destination), opened_folder(destination) as root:
        for entry in entries:
            if entry.mode == SUBMODULE:
                make_folders(root, entry.path.split("/"), owner=owner)
            elif entry.mode != LINK:
                mode = 0o755 if entry.mode == PROGRAM else 0o644
                with _made_folder(root, entry, owner) as (folder, name):
                    write_new(name, folder, partial(content.copy_to, entry.sha256), mode=mode, owner=owner)
        # Links last: until then no component of a path can be one, and a manifest has nothing below a link.
        for entry, target in links.items():
            with _made_folder(root, entry, owner) as (folder, name):
                os.symlink(target, name, dir_fd=folder)
                if owner is not None:
                    os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)


@contextmanager
def _made_folder(root: int, entry: TreeEntry, owner: tuple[int, int] | None) -> Iterator[tuple[int, str]]:
    *folders, name = entry.path.split("/")
    make_folders(root, folders, owner=owner)
    with opened_folder_beneath(root, folders) as folder:
        yield folder, name


@dataclass(frozen=True, slots=True)
class _Read:
    entry: TreeEntry
    git_id: bytes  # empty outside git


def _read(root: int, paths: Iterator[str], put: Put, checkout: Checkout | None = None) -> list[_Read]:
    read: list[_Read] = []
    with ExitStack() as stack:
        opened: tuple[str, ...] | None = None
        folder = root
        for path in paths:
            if len(read) >= MAX_ENTRIES:
                raise _unusable(path, f"the tree has more than {MAX_ENTRIES} files", "keep generated files out of it")
            *above, name = path.split("/")
            try:
                # Neighbours come one after the other, so the folder above is usually still open.
                if opened != tuple(above):
                    stack.close()
                    folder = stack.enter_context(opened_folder_beneath(root, above))
                    opened = tuple(above)
                file = _read_one(folder, path, name, put, checkout)
            except FileNotFoundError:
                opened = None
                if checkout is None:
                    raise _unusable(path, "vanished while it was read", "leave the tree alone meanwhile") from None
                continue  # tracked and removed: the tree is not the commit's
            except NotADirectoryError:
                opened = None
                if checkout is None:
                    raise _unusable(path, "changed while it was read", "leave the tree alone meanwhile") from None
                continue  # tracked below what is now a file or a link
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise _unusable(
                    path, f"can't be read: {reason}", "mend its permissions, or have git ignore it"
                ) from error
            if file is not None:
                read.append(file)
    return read


def _read_one(folder: int, path: str, name: str, put: Put, checkout: Checkout | None) -> _Read | None:
    git_format = checkout.format if checkout else None
    if checkout is not None and (commit := checkout.submodules.get(path)) is not None:
        # As git sees it: the commit, not what lies in the folder.
        sha256 = _keep(commit.encode(), put)
        return _Read(TreeEntry(path, SUBMODULE, sha256), bytes.fromhex(commit))
    state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(state.st_mode):
        target = os.fsencode(os.readlink(name, dir_fd=folder))
        return _Read(TreeEntry(path, LINK, _keep(target, put)), git_format.blob_id(target) if git_format else b"")
    if stat.S_ISDIR(state.st_mode):
        return None  # an untracked repository, which git lists as a folder
    if not stat.S_ISREG(state.st_mode):
        raise _unusable(path, "is neither a file nor a link nor a folder", "remove it, or have git ignore it")
    descriptor = open_file(name, folder)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise _unusable(path, "changed while it was read", "leave the tree alone meanwhile")
        mode: Mode = PROGRAM if state.st_mode & stat.S_IXUSR else FILE
        sha256, size = put(descriptor)
        git_id = _git_id(descriptor, path, sha256, size, git_format) if git_format else b""
    finally:
        os.close(descriptor)
    return _Read(TreeEntry(path, mode, sha256), git_id)


def _git_id(descriptor: int, path: str, sha256: Sha256, size: int, git_format: ObjectFormat) -> bytes:
    """Return the blob id of the very bytes that were stored: git's digest covers the size first, known only now."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    blob, again = git_format.start_blob(size), hashlib.sha256()
    for chunk in read_chunks(descriptor):
        blob.update(chunk)
        again.update(chunk)
    if again.hexdigest() != sha256:
        raise _unusable(path, "changed while it was read", "leave the tree alone meanwhile")
    return blob.digest()


def _without(paths: Iterable[str], names: frozenset[str]) -> Iterator[str]:
    return (path for path in paths if not names.intersection(path.split("/")))


def _all_paths(root: int, without: frozenset[str]) -> Iterator[str]:
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        parts = waiting.pop()
        if len(parts) >= MAX_DEPTH:
            raise _unusable("/".join(parts), f"folders are nested deeper than {MAX_DEPTH}", "flatten them")
        try:
            with opened_folder_beneath(root, parts) as folder, os.scandir(folder) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise _unusable("/".join(parts), f"can't be read: {reason}", "mend its permissions") from error
        for name, is_folder in found:
            if name in without:
                continue
            if is_folder:
                waiting.append((*parts, name))
            else:
                yield "/".join((*parts, name))


def _keep(content: bytes, put: Put) -> Sha256:
    """Store `content` the way files are stored."""
    if put is hash_descriptor:
        return sha256_hex(content)
    descriptor = os.memfd_create("policyd", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return put(descriptor)[0]
    finally:
        os.close(descriptor)


def _link_target(entry: TreeEntry, content: Content) -> bytes:
    descriptor = os.memfd_create("policyd", os.MFD_CLOEXEC)
    try:
        content.copy_to(entry.sha256, descriptor)
        return os.pread(descriptor, 8192, 0)
    finally:
        os.close(descriptor)


def _unusable(path: str, cause: str, fix: str) -> SourceError:
    return SourceError(f"the source tree can't be read: {cause}", where=ascii(path or "."), fix=fix)
