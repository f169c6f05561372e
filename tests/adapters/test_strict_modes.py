"""Who may have written what carries authority."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policyd.adapters.strict_modes import read_safe_file, require_safe_file, require_safe_folder
from policyd.errors import SettingsError, UnsafePermissions

As = Callable[[Callable[[], None]], None]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below a sticky one, as /tmp is."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        (Path(name) / "file").write_text("content")
        (Path(name) / "inner").mkdir()
        (Path(name) / "inner" / "file").write_text("content")
        yield Path(name)


def test_our_own_file_that_nobody_else_can_write_is_safe(folder: Path) -> None:
    assert require_safe_file(folder / "file") == folder / "file"
    assert require_safe_folder(folder / "inner") == folder / "inner"
    assert read_safe_file(folder / "file", max_bytes=7) == b"content"


def test_roots_files_are_safe_for_a_user(as_user: As) -> None:
    as_user(lambda: assert_path(require_safe_file(Path("/etc/passwd"))))


def assert_path(path: Path) -> None:
    assert path == Path("/etc/passwd")


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o660])
def test_a_file_others_can_write_is_refused_with_the_remedy(folder: Path, mode: int) -> None:
    (folder / "file").chmod(mode)

    with pytest.raises(UnsafePermissions, match="can be written by others") as caught:
        require_safe_file(folder / "file")
    assert caught.value.fix == f"chmod go-w '{folder / 'file'}'"
    with pytest.raises(UnsafePermissions):
        read_safe_file(folder / "file", max_bytes=100)


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
@pytest.mark.parametrize("which", [".", "inner"])
def test_a_folder_above_that_others_can_write_is_refused(folder: Path, mode: int, which: str) -> None:
    (folder / which).chmod(mode)

    with pytest.raises(UnsafePermissions, match="can be written by others"):
        require_safe_file(folder / "inner" / "file")


def test_a_sticky_folder_above_is_fine_but_is_itself_safe_only_where_asked(folder: Path) -> None:
    (folder / "inner").chmod(0o1777)

    assert require_safe_file(folder / "inner" / "file")
    assert require_safe_folder(folder / "inner", sticky=True)
    with pytest.raises(UnsafePermissions):
        require_safe_folder(folder / "inner")


def test_a_sticky_file_is_not_safe(folder: Path) -> None:
    (folder / "file").chmod(0o1666)

    with pytest.raises(UnsafePermissions):
        require_safe_file(folder / "file")


@pytest.mark.parametrize("which", ["file", "inner", "inner/file"])
def test_what_belongs_to_somebody_else_is_refused(folder: Path, which: str, root: None) -> None:
    os.chown(folder / which, 12_345, 12_345)

    with pytest.raises(UnsafePermissions, match="belongs to user 12345"):
        require_safe_file(folder / ("file" if which == "file" else "inner/file"))


def test_for_root_a_users_file_is_somebody_elses_and_for_the_user_his_own(
    folder: Path, as_user: As, root: None
) -> None:
    os.chown(folder / "file", 12_345, 12_345)
    os.chown(folder, 12_345, 12_345)

    as_user(lambda: assert_same(require_safe_file(folder / "file"), folder / "file"))
    with pytest.raises(UnsafePermissions):
        require_safe_file(folder / "file")


def assert_same(one: Path, other: Path) -> None:
    assert one == other


def test_a_link_is_refused_even_to_a_safe_file(folder: Path) -> None:
    (folder / "link").symlink_to("file")
    (folder / "link-to-folder").symlink_to("inner")

    with pytest.raises(UnsafePermissions, match="is a link"):
        require_safe_file(folder / "link")
    with pytest.raises(UnsafePermissions, match="is a link"):
        require_safe_folder(folder / "link-to-folder")


def test_a_link_above_is_followed_where_its_owner_is_safe_and_judged_where_it_leads(folder: Path) -> None:
    (folder / "link").symlink_to("inner")
    assert require_safe_file(folder / "link" / "file") == folder / "inner" / "file"

    (folder / "inner").chmod(0o777)
    with pytest.raises(UnsafePermissions):
        require_safe_file(folder / "link" / "file")


def test_a_link_above_of_somebody_else_is_refused(folder: Path, root: None) -> None:
    folder.chmod(0o1777)
    (folder / "link").symlink_to("inner")
    os.chown(folder / "link", 12_345, 12_345, follow_symlinks=False)

    with pytest.raises(UnsafePermissions, match="belongs to user 12345"):
        require_safe_file(folder / "link" / "file")


def test_a_ring_of_links_ends(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")

    with pytest.raises(UnsafePermissions, match="too many links"):
        require_safe_file(folder / "a" / "file")


def test_two_dots_mean_what_they_mean_to_the_kernel(folder: Path) -> None:
    """Behind a link, `..` is the folder above where the link leads, not above the link."""
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    (folder / "link").symlink_to("deep/deeper")

    assert require_safe_file(folder / "link" / ".." / "file") == folder / "deep" / "file"


@pytest.mark.parametrize("path", ["missing", "file/below", "inner/missing"])
def test_what_is_not_there_is_no_permission_error(folder: Path, path: str) -> None:
    with pytest.raises(SettingsError) as caught:
        require_safe_file(folder / path)
    assert caught.value.where == str(folder / path)


def test_a_file_is_no_folder_and_a_folder_no_file(folder: Path) -> None:
    with pytest.raises(UnsafePermissions, match="not a regular file"):
        require_safe_file(folder / "inner")
    with pytest.raises(UnsafePermissions, match="not a folder"):
        require_safe_folder(folder / "file")


def test_a_fifo_is_refused_and_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "fifo", 0o600)

    with pytest.raises(UnsafePermissions, match="not a regular file"):
        read_safe_file(folder / "fifo", max_bytes=10)


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    with pytest.raises(SettingsError, match="larger than 6 bytes"):
        read_safe_file(folder / "file", max_bytes=6)
