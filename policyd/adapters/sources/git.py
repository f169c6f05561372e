"""What git knows of a source tree: which files belong to it, and which commit is checked out.

A repository's own configuration makes git run programs (`core.fsmonitor`, `filter.*.clean`, measured on `git status`),
and a repository is what is judged here. So git runs in the sandbox, where it can read the repository and nothing else,
with all configuration that names programs overridden, and only `cat-file` and `ls-files` are called. What it prints is
data: names are opened beneath the root like any other, and "clean" is computed here from the files themselves, against
a commit whose id is computed here too.

Source: git 2.39, Documentation/git-cat-file.txt (--batch), git-ls-files.txt, and the object format in
gitformat-pack.txt and user-manual.txt ("Object storage format").
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from policyd.errors import SandboxError, SandboxUnavailable, SourceError
from policyd.models.settings import OperatorSettings
from policyd.run.source_tree import SUBMODULE

logger = logging.getLogger(__name__)

MAX_OUTPUT_BYTES = 512 * 1024 * 1024  # a million long paths
TIMEOUT_SECONDS = 120.0
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_REPLACE_OBJECTS": "1",  # refs/replace would put another object in a commit's place
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_OVERRIDES = (
    "safe.bareRepository=explicit",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.excludesFile=/dev/null",
    "core.attributesFile=/dev/null",
    "core.pager=false",
)
_OPTIONS = " ".join(f"-c {override}" for override in _OVERRIDES)
#: `$1` is the folder below the work tree, the rest are the objects asked for. An empty record parts the lists. Errors
#: are kept apart from the answer and printed only where there is none.
_SCRIPT = f"""
ask() {{
    folder=$1; shift
    printf '%s\\n' "$@" | git cat-file --batch && printf '\\0' && cd "/tree/$folder" &&
    git ls-files -z --stage && printf '\\0' && git ls-files -z --others --exclude-standard
}}
git() {{ command "$GIT_PROGRAM" --git-dir="$GIT_FOLDER" --work-tree=/tree {_OPTIONS} "$@"; }}
ask "$@" 2>/scratch/errors || {{ head -c 2000 /scratch/errors; exit 1; }}
"""


class ObjectFormat(Enum):
    """How a repository names its objects."""

    SHA1 = "sha1"
    SHA256 = "sha256"

    def start_blob(self, size: int) -> hashlib._Hash:
        """Return the digest of a blob of `size` bytes, to be fed with them."""
        return self._start("blob", size)

    def blob_id(self, content: bytes) -> bytes:
        """Return the id of a blob."""
        return self.object_id("blob", content)

    def object_id(self, kind: str, content: bytes) -> bytes:
        """Return the id of any object."""
        digest = self._start(kind, len(content))
        digest.update(content)
        return digest.digest()

    def _start(self, kind: str, size: int) -> hashlib._Hash:
        # Names of objects, not protection: what counts for policyd is the SHA-256 of each file.
        return hashlib.new(self.value, b"%s %d\0" % (kind.encode(), size), usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A source tree as git sees it. `tree_id` names the commit's own files at this place, None where it has none."""

    paths: tuple[str, ...]  # tracked, and untracked but not ignored
    submodules: Mapping[str, str]  # path → commit id in hex, also one of `paths`
    commit: str | None
    tree_id: bytes | None
    format: ObjectFormat


@dataclass(frozen=True, slots=True)
class _Repository:
    """Where a checkout keeps its files: the work tree, the common git folder, this work tree's part of it."""

    work_tree: Path
    common: Path
    part: str
    prefix: tuple[str, ...]


def find_checkout(root: Path, operator: OperatorSettings | None = None) -> Checkout | None:
    """Return what git knows of the folder `root`, or None outside a checkout.

    Also None, with a warning, where git or the sandbox is missing: the tree is then read as plain files, and no commit
    is claimed. Raises `SourceError` where git can't read its repository.
    """
    repository = _find_repository(Path(os.path.realpath(root)))
    if repository is None:
        return None
    try:
        said = _ask_git(repository, operator)
    except (SandboxError, SandboxUnavailable) as error:
        logger.warning("the source tree is read without git: %s (%s)", error.cause, error.fix)
        return None
    checkout = _parse(said, repository.prefix)
    # A folder that a repository far above knows nothing of is no part of it.
    return None if repository.prefix and checkout.tree_id is None and not checkout.paths else checkout


def git_tree_id(entries: Iterable[tuple[str, str, bytes]], object_format: ObjectFormat) -> bytes:
    """Return the id git would give to the tree of these files: path, mode and id of each."""
    top: dict[str, Any] = {}
    for path, mode, object_id in entries:
        *folders, name = path.split("/")
        here = top
        for folder in folders:
            here = here.setdefault(folder, {})
        here[name] = (mode, object_id)
    return _tree_id(top, object_format)


def _tree_id(folder: Mapping[str, Any], object_format: ObjectFormat) -> bytes:
    rows = []
    for name, value in folder.items():
        raw = os.fsencode(name)
        if isinstance(value, dict):
            rows.append((raw + b"/", b"40000 " + raw + b"\0" + _tree_id(value, object_format)))
        else:
            mode, object_id = value
            rows.append((raw, mode.encode() + b" " + raw + b"\0" + object_id))
    return object_format.object_id("tree", b"".join(row for _, row in sorted(rows)))


def _find_repository(root: Path) -> _Repository | None:
    """Look for `.git` in `root` and above. No link is followed: a tracked one could lead to any repository."""
    owners = {0, os.geteuid(), os.stat(root).st_uid}
    for folder in (root, *root.parents):
        place = folder / ".git"
        try:
            state = os.lstat(place)
        except OSError:
            continue
        prefix = root.relative_to(folder).parts
        if state.st_uid not in owners:
            # Whoever may write to a folder above could put a repository there (CVE-2022-24765).
            logger.warning("%s belongs to user %d and is not asked about this source tree", place, state.st_uid)
            return None
        if stat.S_ISDIR(state.st_mode):
            return _Repository(folder, place, "", prefix) if (place / "HEAD").is_file() else None
        if stat.S_ISREG(state.st_mode):
            return _linked_work_tree(folder, place, prefix)
        return None
    return None


def _linked_work_tree(folder: Path, place: Path, prefix: tuple[str, ...]) -> _Repository | None:
    """Follow the `.git` file of a linked work tree, if the repository it names also names this work tree.

    Without that a tracked-looking file could make policyd speak of any repository on this machine.
    """
    try:
        said = place.read_bytes()[:4096].decode().strip()
        part = Path(os.path.realpath(folder / said.removeprefix("gitdir:").strip()))
        back = (part / "gitdir").read_bytes()[:4096].decode().strip()
        common = Path(os.path.realpath(part / (part / "commondir").read_bytes()[:4096].decode().strip()))
        if said.startswith("gitdir:") and Path(back) == place and part.parent == common / "worktrees":
            return _Repository(folder, common, f"worktrees/{part.name}", prefix)
    except (OSError, ValueError):
        pass
    logger.warning("%s leads to a repository that does not know it; the source tree is read without git", place)
    return None


def _ask_git(repository: _Repository, operator: OperatorSettings | None) -> bytes:
    from policyd.adapters.helpers import find_helper
    from policyd.adapters.sandboxes.bwrap import identity
    from policyd.adapters.sandboxes.layout import system_layout
    from policyd.adapters.sandboxes.seccomp import assemble_filter
    from policyd.adapters.sandboxes.supervise import Isolation, run_isolated

    bwrap = find_helper("bwrap", operator.helpers.bwrap if operator else None)
    git = find_helper("git", operator.helpers.git if operator else None)
    if bwrap is None or git is None:
        missing = "bubblewrap" if bwrap is None else "git"
        raise SandboxUnavailable(f"{missing} is not installed", where="/usr/bin", fix=f"apt-get install {missing}")

    layout = system_layout()
    objects = ["HEAD", *(f"HEAD:{'/'.join(repository.prefix[:depth])}" for depth in range(len(repository.prefix) + 1))]
    argv = ("/bin/sh", "-c", _SCRIPT, "git", "/".join(repository.prefix), *objects)
    program = str(git.path) if git.path.is_relative_to("/usr") else "/scratch/git"
    said = b""
    for uid in _readers(repository, operator):
        chunks: list[bytes] = []
        result = run_isolated(
            Isolation(
                bwrap=bwrap.path,
                uid=uid,
                arguments=(
                    *identity(),
                    *layout.arguments,
                    # No /proc, whose files belong to root, as which this may have to run (`_readers`).
                    *("--dev-bind", "/dev/null", "/dev/null", "--tmpfs", "/scratch"),
                    *("--ro-bind", str(repository.work_tree), "/tree", "--ro-bind", str(repository.common), "/git"),
                    *(("--ro-bind", str(git.path), program) if program == "/scratch/git" else ()),
                    *("--remount-ro", "/"),
                ),
                files=layout.files,
                seccomp=assemble_filter(),
                environment={
                    **_ENVIRONMENT,
                    "GIT_FOLDER": f"/git/{repository.part}".rstrip("/"),
                    "GIT_PROGRAM": program,
                },
            ),
            [argv],
            timeout_seconds=TIMEOUT_SECONDS,
            max_output_bytes=MAX_OUTPUT_BYTES,
            on_output=chunks.append,
        )
        said = b"".join(chunks)
        if result.succeeded:
            return said
    raise SourceError(
        f"git can't read its repository: {said.decode(errors='replace')[:400].strip() or 'it took too long'}",
        where=str(repository.work_tree),
        fix="see what `git fsck` says there; a directory without .git is read as plain files",
    )


def _readers(repository: _Repository, operator: OperatorSettings | None) -> Iterator[int | None]:
    """Yield the uids to run git as until one can read the repository; None is our own.

    As root: the uid kept for stages, where it can get there; else the repository's owner. That may be root itself, for
    whom the sandbox of `_ask_git` holds nothing that root could change: no capability, no /proc, all of it read-only.
    """
    from policyd.adapters.sandboxes.mountable import can_reach

    if os.geteuid() != 0:
        yield None
        return
    stage_uid: int = operator.stage_uid if operator else OperatorSettings.model_fields["stage_uid"].default
    if can_reach(repository.work_tree, stage_uid) and can_reach(repository.common, stage_uid):
        yield stage_uid
    owner = os.lstat(repository.common).st_uid
    yield owner or None


def _parse(said: bytes, prefix: tuple[str, ...]) -> Checkout:
    try:
        objects, rest = _parse_objects(said, 2 + len(prefix))
        tracked, _, others = rest.partition(b"\0\0") if not rest.startswith(b"\0") else (b"", b"", rest[1:])
    except (ValueError, IndexError) as error:
        raise _unexpected() from error
    paths: dict[str, None] = {}
    submodules: dict[str, str] = {}
    for record in filter(None, tracked.split(b"\0")):
        facts, _, name = record.partition(b"\t")
        mode, object_id, _ = facts.decode("ascii", "replace").split(" ", 2) if facts.count(b" ") == 2 else ("", "", "")
        path = _path(name)
        paths[path] = None  # an unmerged one comes up to three times
        if mode == SUBMODULE:
            submodules[path] = object_id
    for name in filter(None, others.split(b"\0")):
        if not name.endswith(b"/"):  # a repository in the repository, not tracked by it
            paths[_path(name)] = None
    commit, tree_id, object_format = _parse_commit(objects, prefix)
    if not all(_OBJECT_ID.fullmatch(object_id) for object_id in submodules.values()):
        raise _unexpected()
    return Checkout(tuple(paths), submodules, commit, tree_id, object_format)


def _parse_objects(said: bytes, count: int) -> tuple[list[tuple[bytes, bytes] | None], bytes]:
    """Return id and content of each object that `cat-file --batch` printed (None: missing), and what follows."""
    found: list[tuple[bytes, bytes] | None] = []
    at = 0
    for _ in range(count):
        end = said.index(b"\n", at)
        head = said[at:end].split(b" ")
        at = end + 1
        if head[-1] == b"missing":
            found.append(None)
            continue
        size = int(head[2])
        found.append((bytes.fromhex(head[0].decode()), said[at : at + size]))
        at += size + 1
    if said[at : at + 1] != b"\0":
        raise ValueError("the answer has another shape")
    return found, said[at + 1 :]


def _parse_commit(
    objects: list[tuple[bytes, bytes] | None], prefix: tuple[str, ...]
) -> tuple[str | None, bytes | None, ObjectFormat]:
    """Return commit id, id of the tree at `prefix` and object format, each id computed from what it names."""
    if objects[0] is None:
        return None, None, ObjectFormat.SHA1  # no commit yet
    commit_id, commit = objects[0]
    object_format = ObjectFormat.SHA1 if len(commit_id) == 20 else ObjectFormat.SHA256
    if object_format.object_id("commit", commit) != commit_id or not commit.startswith(b"tree "):
        raise _unexpected()
    tree_id: bytes | None = bytes.fromhex(commit[5:].partition(b"\n")[0].decode("ascii", "replace"))
    for above, name in zip(objects[1:], prefix, strict=False):
        if tree_id is None or above is None:
            return commit_id.hex(), None, object_format
        if object_format.object_id("tree", above[1]) != tree_id:
            raise _unexpected()
        tree_id = _entry_of_tree(above[1], os.fsencode(name), len(commit_id))
    return commit_id.hex(), tree_id, object_format


def _entry_of_tree(tree: bytes, name: bytes, id_size: int) -> bytes | None:
    at = 0
    while at < len(tree):
        end = tree.index(b"\0", at)
        mode, _, found = tree[at:end].partition(b" ")
        object_id = tree[end + 1 : end + 1 + id_size]
        if found == name and mode == b"40000":
            return object_id
        at = end + 1 + id_size
    return None


def _path(name: bytes) -> str:
    path = os.fsdecode(name)
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        raise _unexpected()
    return path


def _unexpected() -> SourceError:
    return SourceError(
        "git's answer about this repository contradicts itself",
        where="source tree",
        fix="see what `git fsck` says there; a damaged or forged repository is not used",
    )
