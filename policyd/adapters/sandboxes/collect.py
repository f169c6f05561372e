"""Take what a stage left in $OUT: only what its pipeline declares, only plain files, each read exactly once.

Called when no process of the stage is left (`Sandbox.run`), so nothing changes under the walk; yet everything in $OUT
was made by the stage, and any of it may be a trap: a link to a key, a second name of a file elsewhere, a FIFO that
hangs its reader, a name that paints over the terminal, ten million entries, a hole of eight exabytes (docs/threats.md,
T4 and T16).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.beneath import open_file, opened_folder, opened_folder_beneath
from policyd.errors import CollectError
from policyd.models.base import Sha256
from policyd.models.manifest import Product
from policyd.models.pipeline import Output, Result
from policyd.run.globs import matches

#: Reads a descriptor to its end into the store; returns digest and size of what was read.
Put = Callable[[int], tuple[Sha256, int]]

MAX_ENTRIES = 10_000  # each becomes a subject of an attestation
MAX_DEPTH = 32
MAX_BYTES = 64 * 1024**3  # in all, as sizes say it: holes count
_SHOWN = 5  # names an error lists


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    state: os.stat_result


def collect_products(
    out: Path,
    outputs: Sequence[Output],
    results: Sequence[Result],
    put: Put,
    *,
    uid: int | None,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int = MAX_BYTES,
) -> list[Product]:
    """Store every file below `out` and return it as a product of the output or result that declares it.

    Sorted by path. `uid` is the sandbox's `stage_uid`. Raises `CollectError` for anything undeclared, declared twice,
    missing, or not a plain file of the stage.
    """
    owner = os.geteuid() if uid is None else uid
    declarations: tuple[Output | Result, ...] = (*outputs, *results)
    with opened_folder(out) as root:
        # 1. Everything in $OUT is a plain file of the stage with a plain name, and not too much of it.
        found = sorted(_walk(root, owner, max_entries), key=lambda file: file.path)
        size = sum(file.state.st_size for file in found)
        if size > max_bytes:
            raise _refusal(f"left {size} bytes, more than the {max_bytes} allowed", "declare less, or split the stage")

        # 2. Every file is declared, once.
        claims = {file.path: [one for one in declarations if matches(one.path, file.path)] for file in found}
        if undeclared := [path for path, claim in claims.items() if not claim]:
            raise _refusal(
                f"left what it does not declare: {_names(undeclared)}",
                "declare each file under outputs or results, or keep it out of $OUT ($TMPDIR is for scratch)",
            )
        for path, claim in claims.items():
            if len(claim) > 1:
                names = " and ".join(one.name for one in claim)
                raise _refusal(f"left {path!a}, which {names} both declare", "let each file match one declaration")

        # 3. Every declaration has a file.
        claimed = {id(declaration) for claim in claims.values() for declaration in claim}
        for declaration in declarations:
            if id(declaration) not in claimed:
                raise _refusal(
                    f"did not leave {declaration.name} ({declaration.path})",
                    f"write it to $OUT/{declaration.path}; for all files of a folder declare {declaration.path}/**",
                )

        # 4. Each file is opened without following links, is still what was seen, and is read once into the store.
        products = []
        for file in found:
            sha256, stored = _store(root, file, put)
            (declaration,) = claims[file.path]
            products.append(
                Product(
                    output=declaration.name,
                    path=file.path,
                    type=declaration.type if isinstance(declaration, Output) else declaration.kind.value,
                    sha256=sha256,
                    size=stored,
                )
            )
    return products


def _walk(root: int, owner: int, max_entries: int) -> Iterator[_Found]:
    waiting: list[tuple[str, ...]] = [()]
    count = 0
    while waiting:
        parts = waiting.pop()
        with _opened(root, parts) as folder, os.scandir(folder) as entries:
            for entry in entries:
                count += 1
                if count > max_entries:
                    raise _refusal(f"left more than {max_entries} files and folders", "pack them into an archive")
                path = "/".join((*parts, entry.name))
                _require_plain_name(path, entry.name)
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    if len(parts) + 1 >= MAX_DEPTH:
                        raise _refusal(f"nested folders deeper than {MAX_DEPTH}", "flatten them")
                    waiting.append((*parts, entry.name))
                else:
                    _require_plain_file(path, state, owner)
                    yield _Found(path, state)


@contextmanager
def _opened(root: int, parts: Sequence[str]) -> Iterator[int]:
    """Hold a folder of $OUT open; one that can't be opened is the stage's doing."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(opened_folder_beneath(root, parts))
        except OSError as error:
            raise _unreadable("/".join(parts), error) from error
        yield folder


def _require_plain_name(path: str, name: str) -> None:
    # Printable ASCII: no two names look alike, none moves a cursor or hides a part (docs/threats.md, T6 and T24).
    if not (name.isascii() and name.isprintable()) or "\\" in name or name != name.strip():
        raise _refusal(
            f"left a file whose name is not plain printable ASCII: {path!a}", "give it a plain name, or archive it"
        )


def _require_plain_file(path: str, state: os.stat_result, owner: int) -> None:
    kind = _kind(state.st_mode)
    if kind is not None:
        raise _refusal(f"left {kind}: {path!a}", "leave regular files only")
    if state.st_nlink != 1:
        raise _refusal(
            f"left a file with {state.st_nlink} names (hard links): {path!a}", "copy files instead of linking them"
        )
    if state.st_uid != owner:
        raise _refusal(f"left a file that belongs to user {state.st_uid}: {path!a}", "leave files it made itself")


def _kind(mode: int) -> str | None:
    """Return what else than a regular file this is, in words."""
    if stat.S_ISREG(mode):
        return None
    kinds = {
        stat.S_IFLNK: "a link",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something that is no file")


def _store(root: int, file: _Found, put: Put) -> tuple[Sha256, int]:
    *folders, name = file.path.split("/")
    with _opened(root, folders) as folder:
        try:
            descriptor = open_file(name, folder)
        except OSError as error:
            raise _unreadable(file.path, error) from error
        try:
            state = os.fstat(descriptor)
            if _identity(state) != _identity(file.state):
                raise _refusal(f"left a file that changed while it was collected: {file.path!a}", _CHANGED)
            sha256, size = put(descriptor)
            if size != state.st_size or _identity(os.fstat(descriptor)) != _identity(state):
                raise _refusal(f"left a file that changed while it was read: {file.path!a}", _CHANGED)
        finally:
            os.close(descriptor)
    return sha256, size


_CHANGED = "end all background processes before the stage ends; without a sandbox policyd can't do that for it"


def _identity(state: os.stat_result) -> tuple[int, ...]:
    return (
        state.st_dev,
        state.st_ino,
        state.st_mode,
        state.st_nlink,
        state.st_uid,
        state.st_size,
        state.st_mtime_ns,
        state.st_ctime_ns,
    )


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(ascii(path) for path in paths[:_SHOWN]) + more


def _unreadable(path: str, error: OSError) -> CollectError:
    reason = (error.strerror or str(error)).lower()
    return _refusal(f"left what can't be read: {path!a} ({reason})", "leave files and folders that can be read")


def _refusal(cause: str, fix: str) -> CollectError:
    return CollectError(f"the stage {cause}", where="$OUT", fix=fix)
