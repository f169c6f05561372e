"""A stage's folders: fresh, its own, and gone afterwards whatever it did to them."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.sandboxes import workspace as workspace_module
from policyd.adapters.sandboxes.workspace import open_workspace, remove_leftovers, remove_tree
from policyd.errors import UnsafePermissions

As = Callable[[Callable[[], None]], None]
WithStage = Callable[[Callable[[Any], None]], Callable[[], None]]


def test_the_stage_owns_its_folders_and_nobody_else_can_enter(root: None) -> None:
    with open_workspace(Path("/var/tmp"), 60_790) as workspace:
        state = workspace.root.stat()
        assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (0, 60_790, 0o710)
        for name in ("work", "out", "tmp", "home"):
            state = (workspace.root / name).stat()
            assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (60_790, 60_790, 0o700)
        for name in ("inputs", "tools"):
            state = (workspace.root / name).stat()
            assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (0, 60_790, 0o750)
    assert not workspace.root.exists()


def test_a_user_owns_the_folders_alone(as_user: As) -> None:
    def test() -> None:
        with open_workspace(Path("/var/tmp"), None) as workspace:
            for folder in (workspace.root, *workspace.root.iterdir()):
                assert folder.stat().st_uid == os.geteuid()
                assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not workspace.root.exists()

    as_user(test)


def test_folders_others_can_write_to_are_no_place_for_workspaces(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(UnsafePermissions), open_workspace(tmp_path, None):
        pass


def test_a_damaged_input_is_not_left_behind(tmp_path: Path) -> None:
    def copy(sha256: str, descriptor: int) -> int:
        os.write(descriptor, b"half")
        raise RuntimeError("damaged")

    with open_workspace(tmp_path, None) as workspace:
        with pytest.raises(RuntimeError):
            workspace.add_input("build", "app", "app", "0" * 64, copy)
        assert not (workspace.root / "inputs" / "build" / "app" / "app").exists()


@pytest.mark.parametrize("path", ["../x", "a//b", "/x", "a/../../x", "."])
def test_an_input_never_leaves_its_folder(tmp_path: Path, path: str) -> None:
    with open_workspace(tmp_path, None) as workspace, pytest.raises(ValueError, match="path component"):
        workspace.add_input("build", "app", path, "0" * 64, lambda _, file: os.write(file, b"x"))


def test_whatever_a_stage_leaves_is_removed(identity: As, with_stage: WithStage, tmp_path: Path) -> None:
    """Folders without permissions, a depth no recursion survives, many files, links to what must stay."""
    keep = tmp_path / "keep"
    keep.mkdir(mode=0o755)
    (keep / "file").write_text("precious")
    roots: list[Path] = []

    @with_stage
    def test(stage: Any) -> None:
        program = f"""
import os
os.makedirs("shut/in"); open("shut/in/file", "w").close(); os.chmod("shut/in", 0); os.chmod("shut", 0)
os.symlink({str(keep)!r}, "link"); os.symlink({str(keep / "file")!r}, "filelink")
for number in range(3000):
    open(f"f{{number}}", "w").close()
os.makedirs("many")
for number in range(1500):
    os.mkdir(f"many/d{{number}}")
for number in range(3000):
    os.mkdir("d"); os.chdir("d")
open("bottom", "w").close()
"""
        assert stage.try_python(program).succeeded, stage.said
        roots.append(stage.workspace.root)
        remove_tree(stage.workspace.root)
        assert not stage.workspace.root.exists()
        stage.workspace.root.mkdir()

    identity(test)
    assert (keep / "file").read_text() == "precious"


def test_what_a_killed_policyd_left_is_removed_and_what_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policyd-left").mkdir()
    (tmp_path / "policyd-left" / "work").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "policyd-link").symlink_to("target")

    assert remove_leftovers(tmp_path) == 0  # too young: it may be just about to be locked
    monkeypatch.setattr(workspace_module, "_SETTLED_SECONDS", -1)
    with open_workspace(tmp_path, None) as workspace:
        assert remove_leftovers(tmp_path) == 1
        assert workspace.root.exists()
        with pytest.raises(BlockingIOError):
            fcntl.flock(os.open(workspace.root, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "policyd-link", "target"]
