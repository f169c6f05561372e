"""The folders of one stage: made fresh, handed over, and removed whatever the stage did to them.

    policyd-XXXXXXXX/      policyd's; its name is random and only the stage's group may pass through
      work/                the stage's: the source it was given; commands start here
      out/                 the stage's: what it leaves
      tmp/  home/          the stage's: scratch
      inputs/STAGE/OUTPUT/ policyd's: the products it was given; the stage may read
      tools/               policyd's: where tools stand when no sandbox mounts them

As root, "the stage's" is an unprivileged uid that is kept for stages. The folders lie where that uid can get to, which
a store below /root is not; nobody else can enter them.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.beneath import make_folders, opened_folder, opened_folder_beneath, write_new
from policyd.adapters.strict_modes import require_safe_folder
from policyd.errors import SandboxError
from policyd.models.base import Sha256
from policyd.run.ports import Folders

logger = logging.getLogger(__name__)

PREFIX = "policyd-"
_OF_THE_STAGE = ("work", "out", "tmp", "home")
_TO_READ = ("inputs", "tools")
_SETTLED_SECONDS = 60  # a younger one may be about to be locked
_BATCH = 1024  # names held in memory at a time while removing


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one stage. Made by `open_workspace` alone."""

    root: Path
    uid: int | None  # the stage's uid where it is not ours

    @property
    def folders(self) -> Folders:
        """The folders as a job names them."""
        return Folders(*(str(self.root / name) for name in (*_OF_THE_STAGE, *_TO_READ)))

    @property
    def owner(self) -> tuple[int, int] | None:
        """Uid and gid of what the stage may write; None where that is us."""
        return None if self.uid is None else (self.uid, self.uid)

    def add_input(self, stage: str, output: str, path: str, sha256: Sha256, copy: Callable[[Sha256, int], int]) -> None:
        """Put the product `path` of an earlier stage below inputs/STAGE/OUTPUT, read-only for this stage.

        `copy` writes the content called `sha256` to a descriptor and raises where it is not that content
        (`ContentStore.copy_to`): a product is checked again by every stage that is given it.
        """
        parts = [stage, output, *path.split("/")]
        folders, name = parts[:-1], parts[-1]
        readers = None if self.uid is None else (0, self.uid)
        # A product has no mode, and one that is a program should run, so every input may be executed. The owner may
        # write: `cp` gives its copy the same mode, and what was deployed has to be replaceable by the next run. The
        # stage itself can't, since the owner is root or the mount is read-only.
        mode = 0o700 if self.uid is None else 0o750
        with writing_for_stage(self.root), opened_folder(self.root / "inputs") as inputs:
            make_folders(inputs, folders, mode=0o700 if self.uid is None else 0o750, owner=readers)
            with opened_folder_beneath(inputs, folders) as folder:
                write_new(name, folder, lambda file: copy(sha256, file), mode=mode, owner=readers)


@contextmanager
def open_workspace(parent: Path, uid: int | None) -> Iterator[Workspace]:
    """Make a stage's folders below `parent`, and remove them in the end.

    `uid` is the sandbox's `stage_uid`: the uid the stage will run as where that is not ours. `parent` is a folder that
    only we can write, or a sticky one. Raises `UnsafePermissions` for any other.
    """
    parent = require_safe_folder(parent, sticky=True)
    with writing_for_stage(parent):
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # 0700
    with opened_folder(root) as held:
        # Held as long as this process lives: what nobody holds is left over from one that was killed.
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            with writing_for_stage(root):
                _make_places(held, uid)
            yield Workspace(root, uid)
        finally:
            _remove_or_warn(root)


@contextmanager
def writing_for_stage(where: Path) -> Iterator[None]:
    """Turn what goes wrong while a stage's folders are filled (a full disk) into a `SandboxError`."""
    try:
        yield
    except OSError as error:
        raise SandboxError(
            f"the stage's folders can't be made: {(error.strerror or str(error)).lower()}",
            where=str(where),
            fix="free space there, or name another folder under `workspaces` in operator settings",
        ) from error


def _make_places(root: int, uid: int | None) -> None:
    for name in (*_OF_THE_STAGE, *_TO_READ):
        os.mkdir(name, 0o700, dir_fd=root)
    if uid is None:
        return
    for name in _OF_THE_STAGE:
        os.chown(name, uid, uid, dir_fd=root, follow_symlinks=False)
    for name in _TO_READ:
        os.chown(name, 0, uid, dir_fd=root, follow_symlinks=False)
        os.chmod(name, 0o750, dir_fd=root)  # noqa: S103  # the group is the stage
    os.fchown(root, 0, uid)
    os.fchmod(root, 0o710)


def remove_leftovers(parent: Path) -> int:
    """Remove the workspaces below `parent` that a killed policyd of ours left; return how many."""
    count = 0
    with suppress(OSError), opened_folder(parent) as folder, os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
        for name in names:
            with suppress(OSError), opened_folder(name, folder) as held:
                state = os.fstat(held)
                if state.st_uid != os.geteuid() or time.time() - state.st_ctime < _SETTLED_SECONDS:
                    continue
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(parent / name)
                count += 1
    return count


def _remove_or_warn(root: Path) -> None:
    try:
        remove_tree(root)
    except OSError as error:
        # The outcome of the stage is known and counts more than what is left of its scratch space.
        logger.warning("the workspace %s could not be removed: %s", root, error)


def remove_tree(root: Path) -> None:
    """Remove the folder `root` and all below it, whatever modes, depth and number, following no link.

    Folders are emptied one at a time; those inside them are first moved up to `root`. So neither a path nor the stack
    grows with the depth, which a stage chooses (shutil.rmtree fails beyond a thousand levels).
    """
    fresh = (f"{secrets.token_hex(8)}-{number}" for number in itertools.count())
    with opened_folder(root.parent) as parent:
        top = _open_any_folder(root.name, parent)
        try:
            while batch := _some_entries(top):
                for name, is_folder in batch:
                    if not is_folder:
                        os.unlink(name, dir_fd=top)
                        continue
                    folder = _open_any_folder(name, top)
                    try:
                        _move_folders_up(folder, top, fresh)
                    finally:
                        os.close(folder)
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)
        os.rmdir(root.name, dir_fd=parent)


def _move_folders_up(folder: int, top: int, fresh: Iterator[str]) -> None:
    while batch := _some_entries(folder):
        for name, is_folder in batch:
            if is_folder:
                os.close(_open_any_folder(name, folder))  # moving a folder means writing its ".."
                os.rename(name, next(fresh), src_dir_fd=folder, dst_dir_fd=top)
            else:
                os.unlink(name, dir_fd=folder)


def _some_entries(folder: int) -> list[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in itertools.islice(entries, _BATCH)]


def _open_any_folder(name: str, within: int) -> int:
    """Open a folder whose mode may forbid it: first as a mere place, which shows no link, then made ours."""
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    try:
        if stat.S_IMODE(os.fstat(place).st_mode) & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{place}", 0o700)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
