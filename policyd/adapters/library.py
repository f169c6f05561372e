"""Policy folders as bytes: the rule library that comes with policyd, and folders that operators name."""

from __future__ import annotations

import errno
import functools
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from policyd.errors import PolicyError
from policyd.policy.policy_files import is_example, rule_beside

if TYPE_CHECKING:
    from policyd.policy.subset import Builtins

MAX_FOLDER_BYTES = 16 * 1024 * 1024  # thirty times the library
MAX_FOLDER_FILES = 5000
#: Of the rules a project brings: its syntax tree has 80 times that, and is read in a process without limits.
MAX_PROJECT_BYTES = 256 * 1024
MAX_FOLDER_DEPTH = 8

_PACKAGE = Path(__file__).resolve().parent.parent
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SUFFIXES = (".rego", ".json", ".yaml", ".yml")


def library_folder() -> Path:
    """Return the folder of the rule library: inside the installed package, else beside it in a checkout."""
    for folder in (_PACKAGE / "_data" / "policies", _PACKAGE.parent / "policies"):
        if (folder / "capabilities.json").is_file():
            return folder
    raise PolicyError(
        "the rule library that comes with policyd is not there",
        where=str(_PACKAGE / "_data" / "policies"),
        fix="install policyd again",
    )


def library_files(*, tests: bool = False) -> Mapping[str, bytes]:
    """Return the rule library: path relative to its folder → content. Test files only where asked for."""
    return read_policy_folder(library_folder(), tests=tests)


@functools.cache
def library_builtins() -> Builtins:
    """Return the builtins that policies may call. Always policyd's own lists: a policy set brings none of its own."""
    from policyd.policy.subset import Builtins

    folder = library_folder()
    capabilities = json.loads((folder / "capabilities.json").read_bytes())
    return Builtins(
        pure=frozenset(builtin["name"] for builtin in capabilities["builtins"]),
        alike=frozenset(json.loads((folder / "embedded.json").read_bytes())),
    )


def read_policy_folder(folder: Path, *, tests: bool = False) -> dict[str, bytes]:
    """Return the policy files below `folder`: path relative to it → content.

    Files beginning with a dot are left out. A link, a special file, or more than the bounds above is a `PolicyError`:
    what can't be read as it stands must not be left out in silence.
    """
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PolicyError(
            f"the policy folder can't be opened: {error.strerror}", where=str(folder), fix="name an existing folder"
        ) from error
    try:
        return _read_opened(root, str(folder), tests, MAX_FOLDER_BYTES)
    finally:
        os.close(root)


def read_policies_beneath(root: Path, folder: str) -> dict[str, bytes]:
    """Return the policy files of a project: those below `folder` (forward slashes), which lies below `root`.

    As `read_policy_folder`, with a lower bound, and no part of the way to the folder is a link either.
    """
    # Imported here: `policyd --version` names the library, and no model is needed for that.
    from policyd.adapters.beneath import opened_folder, opened_folder_beneath

    parts = folder.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise PolicyError(
            "this is no plain relative path", where=ascii(folder), fix="name a folder below the project's root"
        )
    try:
        with opened_folder(root.resolve()) as opened, opened_folder_beneath(opened, parts) as found:
            return _read_opened(found, folder, False, MAX_PROJECT_BYTES)
    except OSError as error:
        cause = "it or a part of the way to it is a link or no folder"
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            cause = error.strerror or str(error)
        raise PolicyError(
            f"the project's policy folder can't be opened: {cause}",
            where=folder,
            fix="put the folder there; policyd follows no links",
        ) from error


def _read_opened(root: int, shown: str, tests: bool, max_bytes: int) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = max_bytes
    try:
        for path, descriptor in _walk(root, "", 0, shown, tests):
            try:
                content = _read(descriptor, left)
            finally:
                os.close(descriptor)
            left -= len(content)
            files[path] = content
            if left <= 0 or len(files) > MAX_FOLDER_FILES:
                raise PolicyError(
                    f"the policy folder is too large: more than {max_bytes} bytes or {MAX_FOLDER_FILES} files",
                    where=shown,
                    fix="name the folder that holds only policies",
                )
    except OSError as error:
        raise PolicyError(
            f"the policy folder can't be read: {error.strerror}", where=shown, fix="see who may read it"
        ) from error
    return files


def _walk(folder: int, prefix: str, depth: int, shown: str, tests: bool) -> Iterator[tuple[str, int]]:
    """Yield path and open descriptor of every policy file, beneath the folder's descriptor; no link is followed."""
    if depth > MAX_FOLDER_DEPTH:
        raise PolicyError(f"folders are nested deeper than {MAX_FOLDER_DEPTH}", where=shown, fix="flatten the folder")
    names = set(os.listdir(folder))
    for name in sorted(names):
        path = f"{prefix}{name}"
        if name.startswith(".") or (not tests and _is_for_tests(path, names)):
            continue
        mode = os.lstat(name, dir_fd=folder).st_mode
        if stat.S_ISDIR(mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                yield from _walk(below, f"{path}/", depth + 1, shown, tests)
            finally:
                os.close(below)
        elif stat.S_ISREG(mode) and not name.endswith(_SUFFIXES):
            continue
        else:
            # Opened before it is looked at again: a link or device that took its place meanwhile is refused too.
            descriptor = -1 if not stat.S_ISREG(mode) else os.open(name, _FILE_FLAGS, dir_fd=folder)
            if descriptor < 0 or not stat.S_ISREG(os.fstat(descriptor).st_mode):
                if descriptor >= 0:
                    os.close(descriptor)
                raise PolicyError("not a regular file", where=f"{shown}/{path}", fix="put a regular file in its place")
            yield path, descriptor


def _is_for_tests(path: str, names: set[str]) -> bool:
    """Say whether no gate needs the file: an example, or a test beside its rule (`names` are those of its folder)."""
    name = path.rpartition("/")[2]
    # A test without its rule is read like any other file: it may be a rule with a misleading name.
    return is_example(path) or rule_beside(name) in names - {name}


def _read(descriptor: int, limit: int) -> bytes:
    parts = []
    while limit >= 0 and (part := os.read(descriptor, 1 << 16)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
