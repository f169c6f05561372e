"""What a stage needs beyond /usr: packages of a lock file, fetched before the run, or a folder the operator names.

Fetching is the one part of a run that uses the network, and it runs no code of what it fetches: wheels only, each
checked against the lock by pip and again here. They go into the content store, so the next run needs no network, and
are unpacked into a folder below the store that is looked at again before each use.
"""

from __future__ import annotations

import atexit
import fcntl
import importlib.util
import json
import logging
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from policyd.adapters.beneath import hash_descriptor
from policyd.adapters.sandboxes.mountable import can_reach, require_mountable, require_reachable
from policyd.adapters.sandboxes.workspace import PREFIX, remove_tree
from policyd.adapters.sources.tree import read_folder
from policyd.adapters.stores.content import ContentStore
from policyd.adapters.strict_modes import require_safe_folder
from policyd.errors import SourceError, StoreError, ToolError
from policyd.models.base import Sha256
from policyd.models.canonical import canonical_json, sha256_hex
from policyd.run.lock_file import Requirement, normal_name, read_lock, render_lock

logger = logging.getLogger(__name__)

#: The Python that stages have: wheels are chosen for it, and their programs start it.
STAGE_PYTHON = Path("/usr/bin/python3")
FETCH_SECONDS = 1800.0
MAX_WHEEL_BYTES = 4 * 1024**3
_WHEEL = re.compile(r"(?P<name>[A-Za-z0-9._]+)-(?P<version>[A-Za-z0-9._+!]+)-[A-Za-z0-9._-]+\.whl", re.ASCII)

#: What pip may be told from outside: where the operator's index is and how to get there. Nothing that changes what is
#: installed or where to.
_PIP_SETTINGS = frozenset(
    f"PIP_{name}"
    for name in (
        "CACHE_DIR",
        "CERT",
        "CLIENT_CERT",
        "CONFIG_FILE",
        "DEFAULT_TIMEOUT",
        "EXTRA_INDEX_URL",
        "FIND_LINKS",
        "INDEX_URL",
        "KEYRING_PROVIDER",
        "NO_CACHE_DIR",
        "NO_INDEX",
        "PROXY",
        "RETRIES",
        "TIMEOUT",
        "TRUSTED_HOST",
    )
)
_SYSTEM_SETTINGS = frozenset(
    (
        "CURL_CA_BUNDLE",
        "HOME",
        "LANG",
        "NETRC",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_DIRS",
        "XDG_CONFIG_HOME",
        *(name for proxy in ("http", "https", "all", "no") for name in (f"{proxy}_proxy", f"{proxy.upper()}_PROXY")),
    )
)


@dataclass(frozen=True, slots=True)
class Package:
    """A file that a lock names, as it was fetched: a resolved dependency of the stage."""

    name: str
    version: str
    filename: str
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class FetchedTool:
    """A tool ready to be mounted at /tools/NAME. `sha256` is that of the folder's manifest."""

    name: str
    folder: Path
    sha256: Sha256
    packages: tuple[Package, ...] = ()
    python_path: bool = False


class Store(Protocol):
    """Where tools are kept."""

    content: ContentStore
    tools_folder: Path


def folder_tool(name: str, folder: Path, *, forbidden: Sequence[Path] = (), uid: int | None = None) -> FetchedTool:
    """Return the operator's `folder` as a tool, with the digest of all that is in it.

    Raises `SettingsError` for a folder that no stage may see or that `uid` can't reach, `UnsafePermissions` for one
    that others can change, `ToolError` for one with sockets or other special files.
    """
    what = f"the folder of tool {name}"
    real = require_mountable(folder, what=what, apart_from=forbidden)
    require_safe_folder(real)
    require_reachable(real, uid, what=what)
    try:
        return FetchedTool(name, real, read_folder(real).sha256)
    except SourceError as error:
        raise ToolError(f"{what} can't be used: {error.cause}", where=error.where, fix=error.fix) from error


def fetch_tool(name: str, lock: bytes, store: Store, *, uid: int | None = None) -> FetchedTool:
    """Return the packages that the lock file `lock` names, unpacked; from the store where it has them.

    `uid` is the sandbox's `stage_uid`: where it can't reach the store, it gets a copy that lasts as long as this
    process. Raises `ToolError` where the lock is not one, or a file can't be had exactly as it says.
    """
    # 1. The lock is data of the repository: only pinned names and digests are taken from it.
    requirements = read_lock(lock, where=f"lock file of tool {name}")

    # 2. What was made of it before is used if its files are all as they were.
    kept = store.tools_folder / _key(requirements)
    packages, tree = _read_record(kept, requirements)
    if tree is None or not _is_as_recorded(kept / "files", tree):
        # 3. Wheels come from the store where it has them all, else from the operator's index.
        if not packages or not all(store.content.has(package.sha256) for package in packages):
            packages = _fetch(name, requirements, store)
        # 4. They are unpacked afresh, each checked again as it leaves the store.
        tree = _install(name, requirements, packages, store, kept)

    folder = kept / "files"
    if not can_reach(folder, uid):
        assert uid is not None
        folder = _copy_within_reach(folder, kept.name, uid)
        if read_folder(folder).sha256 != tree:
            raise ToolError(f"the copy of tool {name} differs from it", where=str(folder), fix="run policyd again")
    return FetchedTool(name, folder, tree, packages, python_path=True)


def _key(requirements: Sequence[Requirement]) -> str:
    """The same lock gives other wheels to another Python or machine."""
    facts = [sha256_hex(render_lock(requirements)), os.path.realpath(STAGE_PYTHON), platform.machine()]
    return sha256_hex(canonical_json(facts))


def _read_record(kept: Path, requirements: Sequence[Requirement]) -> tuple[tuple[Package, ...], Sha256 | None]:
    """Return what was fetched for this lock before; nothing where that is not what the lock names."""
    try:
        record = json.loads((kept / "record.json").read_bytes())
        packages = tuple(Package(**package) for package in record["packages"])
        tree = str(record["tree"])
    except (OSError, ValueError, KeyError, TypeError):
        return (), None
    locked = {(requirement.name, sha256) for requirement in requirements for sha256 in requirement.sha256s}
    if not packages or not all((one.name, one.sha256) in locked and _is_wheel(one.filename) for one in packages):
        return (), None
    return packages, tree


def _is_wheel(filename: str) -> bool:
    return _WHEEL.fullmatch(filename) is not None


def _is_as_recorded(folder: Path, tree: Sha256) -> bool:
    try:
        return read_folder(folder).sha256 == tree
    except (OSError, SourceError):
        return False


def _fetch(name: str, requirements: Sequence[Requirement], store: Store) -> tuple[Package, ...]:
    logger.info("fetching tool %s", name)
    environment = {key: value for key, value in os.environ.items() if key in _PIP_SETTINGS | _SYSTEM_SETTINGS}
    with tempfile.TemporaryDirectory(prefix="policyd-fetch-") as folder:
        lock = Path(folder) / "lock.txt"
        lock.write_bytes(render_lock(requirements))
        wheels = Path(folder) / "wheels"
        wheels.mkdir()
        _run_pip(name, ["download", "--dest", str(wheels), *_FROM_LOCK, str(lock)], environment, folder)
        packages = tuple(_take(wheel, requirements, store) for wheel in sorted(wheels.iterdir()))
    if not packages:
        raise ToolError(
            "the lock names no package for this machine", where=f"tool {name}", fix="mend the markers in the lock file"
        )
    return packages


#: No dependency that the lock does not name, no file it has no digest of, nothing that must be built to be installed.
_FROM_LOCK = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement")


def _take(wheel: Path, requirements: Sequence[Requirement], store: Store) -> Package:
    """Store a wheel if it is one that the lock names. pip said so too; this does not rest on it."""
    match = _WHEEL.fullmatch(wheel.name)
    descriptor = os.open(wheel, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        sha256, _ = hash_descriptor(descriptor)
        wanted = {requirement.name for requirement in requirements if sha256 in requirement.sha256s}
        if match is None or normal_name(match["name"]) not in wanted:
            raise ToolError(
                f"{wheel.name!a} (sha256:{sha256}) is not what the lock names",
                where="the package index",
                fix="find out who changed it; write the lock again only for files you trust",
            )
        os.lseek(descriptor, 0, os.SEEK_SET)
        stored, _ = store.content.put_fd(descriptor, max_bytes=MAX_WHEEL_BYTES)
        if stored != sha256:
            raise ToolError(f"{wheel.name!a} changed while it was stored", where=str(wheel), fix="run policyd again")
    finally:
        os.close(descriptor)
    return Package(normal_name(match["name"]), match["version"], wheel.name, sha256)


def _install(
    name: str, requirements: Sequence[Requirement], packages: Sequence[Package], store: Store, kept: Path
) -> Sha256:
    fresh = kept.with_name(f"{kept.name}.{secrets.token_hex(4)}")
    fresh.mkdir(mode=0o755)
    try:
        wheels = fresh / "wheels"
        wheels.mkdir()
        for package in packages:
            with (wheels / package.filename).open("wb") as file:
                store.content.copy_to(package.sha256, file.fileno())
        (fresh / "lock.txt").write_bytes(render_lock(requirements))
        # Nothing from outside: no index, no configuration, no variable.
        arguments = ["install", "--no-index", "--find-links", str(wheels), "--target", str(fresh / "files")]
        environment = {"HOME": "/nonexistent", "PIP_CONFIG_FILE": os.devnull, "LANG": "C.UTF-8"}
        _run_pip(name, [*arguments, *_FROM_LOCK, str(fresh / "lock.txt")], environment, str(fresh))
        remove_tree(wheels)
        _let_stages_read(fresh / "files")
        tree = read_folder(fresh / "files").sha256
        record = {"tree": tree, "packages": [{slot: getattr(one, slot) for slot in one.__slots__} for one in packages]}
        (fresh / "record.json").write_bytes(canonical_json(record))
        if kept.exists():
            remove_tree(kept)
        fresh.rename(kept)
    except OSError as error:
        raise StoreError(
            f"tool {name} can't be unpacked: {(error.strerror or str(error)).lower()}",
            where=str(fresh),
            fix="free space there, and see who may write to the store",
        ) from error
    finally:
        if fresh.exists():
            remove_tree(fresh)
    return tree


def _run_pip(name: str, arguments: Sequence[str], environment: dict[str, str], folder: str) -> None:
    """Run policyd's own pip for the stages' Python. `-I`: neither the current folder nor variables add modules."""
    if importlib.util.find_spec("pip") is None:
        raise ToolError("pip is not installed beside policyd", where=sys.prefix, fix=f"{sys.executable} -m ensurepip")
    if not STAGE_PYTHON.exists():
        raise ToolError(
            "stages have no Python here", where=str(STAGE_PYTHON), fix="apt-get install python3, or use a folder tool"
        )
    command = [sys.executable, "-I", "-m", "pip", "--python", str(STAGE_PYTHON)]
    quiet = ["--no-input", "--disable-pip-version-check", "--quiet"]
    if arguments[0] == "install":
        quiet += ["--root-user-action=ignore", "--no-warn-script-location"]
    try:
        done = subprocess.run(
            [*command, arguments[0], *quiet, *arguments[1:]],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONNOUSERSITE": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            "pip took too long", where=f"tool {name}", fix="see whether the package index answers"
        ) from error
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip()[-2000:]
        raise ToolError(
            f"pip could not get tool {name} as locked: {said}",
            where=f"tool {name}",
            fix="see that the index can be reached and has wheels of these versions with these digests",
        )


def _let_stages_read(folder: Path) -> None:
    folder.chmod(0o755)
    for above, folders, files in os.walk(folder):
        for inner in folders:
            os.chmod(os.path.join(above, inner), 0o755)  # noqa: S103  # for any uid that stages run as
        for file in files:
            path = os.path.join(above, file)
            os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)


def _copy_within_reach(folder: Path, key: str, uid: int) -> Path:
    """Copy a tool to where the stages' uid can go: readable for that uid alone, removed when this process ends."""
    copy = _reachable_folder(uid) / key
    if not copy.exists():
        shutil.copytree(folder, copy, symlinks=True)
    return copy


@lru_cache(maxsize=4)
def _reachable_folder(uid: int) -> Path:
    root = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/var/tmp"))  # 0700, and its name is random
    # Held until this process is gone, like a workspace: what nobody holds is removed by a later policyd.
    held = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fcntl.flock(held, fcntl.LOCK_EX)
    os.chown(root, 0, uid)
    root.chmod(0o710)
    atexit.register(_remove, root)
    return root


def _remove(root: Path) -> None:
    with suppress(OSError):
        remove_tree(root)
