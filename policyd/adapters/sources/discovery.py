"""Finding pipeline files below a folder, and reading files there without ever leaving it.

Whoever writes the repository also places links, FIFOs and devices in it, where a reader that follows them prints
secrets or hangs (docs/threats.md, T16 and T45). So no component of a path is followed if it is a link, only regular
files are read, and only up to a size. What looks like a pipeline and can't be read is reported, never passed over: a
gate that skips a file has not judged it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from policyd.adapters.beneath import is_regular, open_file, opened_folder_beneath
from policyd.errors import InputTooLarge, PolicydError, SourceError
from policyd.pipeline.kinds import find_kind_by_content, find_kind_by_path

MAX_PIPELINE_BYTES = 10 * 1024 * 1024
#: Folders that hold no pipelines of the repository itself.
SKIPPED_FOLDERS = frozenset((".git", "node_modules", ".venv"))
MAX_DEPTH = 64  # of folders; each level costs an open
MAX_ENTRIES = 1_000_000  # files and folders looked at
_BEGINNING_BYTES = 16 * 1024  # enough to tell a pipeline; of other files nothing more is read
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A pipeline file: its path below the folder, and its content or why it has none."""

    path: str
    content: bytes | None
    error: PolicydError | None = None

    def require_error(self) -> PolicydError:
        """Return why there is no content; `ValueError` where there is one."""
        if self.error is None:
            raise ValueError(f"{self.path} was read")
        return self.error


def read_beneath(root: Path, relpath: str, max_bytes: int = MAX_PIPELINE_BYTES) -> bytes:
    """Return the content of the regular file `relpath` (forward slashes) below the folder `root`.

    `root` itself is the caller's choice and may be a link. Raises `SourceError` for links, special files and what
    can't be read, `InputTooLarge` beyond `max_bytes`.
    """
    try:
        root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(error, str(root)) from error
    try:
        descriptor = open_beneath(root_fd, relpath)
        try:
            return _read_all(descriptor, relpath, max_bytes)
        finally:
            os.close(descriptor)
    finally:
        os.close(root_fd)


def open_beneath(root_fd: int, relpath: str) -> int:
    """Return a descriptor of the regular file `relpath` below the folder `root_fd`, for reading.

    1. The path is relative and plain: no empty part, `.`, `..` or NUL.
    2. Every folder on the way is opened by itself and is no link.
    3. What stands at the end is a regular file. Looked at first, since opening a device can have effects.
    4. What was opened is a regular file too: another one may have taken its place, but nothing else did.

    Raises `SourceError` naming what it is instead.
    """
    # 1.
    parts = relpath.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise SourceError("this is no plain relative path", where=ascii(relpath), fix="name a file below the folder")
    try:
        # 2.
        with opened_folder_beneath(root_fd, parts[:-1]) as folder:
            # 3.
            _require_regular(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False), relpath)
            descriptor = open_file(parts[-1], folder)
    except OSError as error:
        raise _unreadable(error, relpath) from error
    # 4.
    try:
        _require_regular(os.fstat(descriptor), relpath)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def find_pipeline_files(root: Path) -> Iterator[Found]:
    """Yield every pipeline file below the folder `root`, sorted by folder and name.

    Those are YAML files that a CI system takes for one by their path (`.github/workflows/*.yml`, `action.yml`,
    `.gitlab-ci.yml`, …), those that begin like one, and a `pipeline.yaml` or `*.pipeline.yaml` that speaks of
    `policyd` at all, so that one with a mistake in its first line is reported. Links are not followed.
    """
    # GitHub's folder may lie above: `policyd check .github/workflows`.
    above = tuple(PurePosixPath(os.path.realpath(root)).parts[-2:])
    try:
        root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(error, str(root)) from error
    try:
        yield from _Walk(root_fd, above).find()
    finally:
        os.close(root_fd)


class _Walk:
    def __init__(self, root_fd: int, above: tuple[str, ...]) -> None:
        self.root_fd = root_fd
        self.above = above
        self.entries = 0

    def find(self) -> Iterator[Found]:
        pending: list[tuple[str, ...]] = [()]
        while pending:
            parts = pending.pop()
            try:
                with opened_folder_beneath(self.root_fd, parts) as folder:
                    found, folders = self._look_into(folder, parts)
            except OSError as error:
                where = shown_path("/".join(parts)) or "."
                yield Found(where, None, _unreadable(error, where))
                continue
            yield from found
            pending.extend((*parts, name) for name in reversed(folders))

    def _look_into(self, folder: int, parts: tuple[str, ...]) -> tuple[list[Found], list[str]]:
        found: list[Found] = []
        folders: list[str] = []
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        self.entries += len(listed)
        if self.entries > MAX_ENTRIES:
            raise InputTooLarge(
                f"there are more than {MAX_ENTRIES} files and folders",
                where=shown_path("/".join(parts)) or ".",
                fix="name the folders or files to check",
            )
        for entry in listed:
            path = "/".join((*parts, entry.name))
            if entry.is_dir(follow_symlinks=False):
                if entry.name in SKIPPED_FOLDERS:
                    continue
                if len(parts) >= MAX_DEPTH:
                    error = InputTooLarge(
                        f"folders are nested more than {MAX_DEPTH} deep",
                        where=shown_path(path),
                        fix="check it by itself",
                    )
                    found.append(Found(shown_path(path), None, error))
                    continue
                folders.append(entry.name)
            elif entry.is_symlink() and self._is_github_folder((*parts, entry.name)):
                found.append(_refused_link(path))
            elif entry.name.endswith((".yml", ".yaml")):
                one = self._look_at(path, entry)
                if one is not None:
                    found.append(one)
        return found, folders

    def _is_github_folder(self, parts: tuple[str, ...]) -> bool:
        return parts[-1] == ".github" or (*self.above, *parts)[-2:] == (".github", "workflows")

    def _look_at(self, path: str, entry: os.DirEntry[str]) -> Found | None:
        """Return the pipeline at `path`, or `None` where the file is something else."""
        by_path = find_kind_by_path("/".join((*self.above, path))) is not None
        by_name = entry.name in ("pipeline.yaml", "pipeline.yml") or entry.name.endswith(
            (".pipeline.yaml", ".pipeline.yml")
        )
        if not (by_path or by_name or entry.is_file(follow_symlinks=False)):
            return None  # a link or FIFO of no name that means anything
        try:
            descriptor = open_beneath(self.root_fd, path)
            try:
                named = by_path
                if not named:
                    beginning = os.pread(descriptor, _BEGINNING_BYTES, 0)
                    named = find_kind_by_content(path, beginning) is not None
                    if not named and not by_name:
                        return None
                content = _read_all(descriptor, path, MAX_PIPELINE_BYTES)
                return Found(shown_path(path), content) if named or b"policyd" in content else None
            finally:
                os.close(descriptor)
        except PolicydError as error:
            return Found(shown_path(path), None, error)
        except OSError as error:
            return Found(shown_path(path), None, _unreadable(error, path))


def _read_all(descriptor: int, path: str, max_bytes: int) -> bytes:
    # Counted while reading: the size that the file system tells can change meanwhile.
    chunks: list[bytes] = []
    left = max_bytes + 1
    while left > 0:
        try:
            chunk = os.read(descriptor, min(left, _CHUNK_BYTES))
        except OSError as error:
            raise _unreadable(error, path) from error
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        left -= len(chunk)
    raise InputTooLarge(
        f"the file has more than {max_bytes} bytes",
        where=shown_path(path),
        fix="split it; policyd reads nothing of a file beyond this size",
    )


def _require_regular(state: os.stat_result, path: str) -> None:
    if is_regular(state):
        return
    kind = next((name for test, name in _KINDS if test(state.st_mode)), "a special file")
    raise SourceError(
        f"this is {kind}, not a regular file", where=shown_path(path), fix="put a file there; policyd follows no links"
    )


_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _refused_link(path: str) -> Found:
    error = SourceError(
        "this is a link, not a folder", where=shown_path(path), fix="put the folder there; policyd follows no links"
    )
    return Found(shown_path(path), None, error)


def _unreadable(error: OSError, path: str) -> SourceError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        cause = "a part of this path is a link or no folder"
    else:
        cause = f"this can't be read: {error.strerror or error}"
    return SourceError(cause, where=shown_path(path), fix="check that it is there, a regular file, and readable by you")


def shown_path(path: str) -> str:
    """Return a path that can be written as UTF-8; bytes of a name that are none are shown escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
