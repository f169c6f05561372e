"""Source trees read from real folders and made again from a real store."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from policyd.adapters.sandboxes.workspace import open_workspace
from policyd.adapters.sources.tree import materialise, read_tree
from policyd.adapters.stores.content import ContentStore
from policyd.errors import SandboxError, SourceError, StoreError
from policyd.run.source_tree import LINK, TreeEntry, make_manifest, read_manifest

As = Callable[[Callable[[], None]], None]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "src" / "deep" / "a.py").write_text("print(1)\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("src/deep/a.py")
    (root / "src" / "up").symlink_to("../run.sh")
    for name in (".git", ".policyd", "src/.git", "src/.policyd"):
        (root / name).mkdir()
        (root / name / "secret").write_text("x")
    return root


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore.create(tmp_path / "store")


def test_a_folder_is_read_whole_without_what_git_and_policyd_keep(project: Path) -> None:
    tree = read_tree(project)

    assert [(entry.path, entry.mode) for entry in tree.entries] == [
        ("link", "120000"),
        ("run.sh", "100755"),
        ("src/deep/a.py", "100644"),
        ("src/up", "120000"),
    ]
    assert tree.digest_of("src/deep/a.py") == hashlib.sha256(b"print(1)\n").hexdigest()
    assert tree.entries[0].sha256 == hashlib.sha256(b"src/deep/a.py").hexdigest()
    assert (tree.commit, tree.clean) == (None, None)


def test_reading_for_a_plan_and_reading_into_a_store_give_the_same(project: Path, store: ContentStore) -> None:
    stored = read_tree(project, put=store.put_fd)

    assert stored.sha256 == read_tree(project).sha256
    assert read_manifest(store.get(stored.sha256, max_bytes=10_000)).entries == stored.entries
    assert store.get(stored.entries[0].sha256, max_bytes=100) == b"src/deep/a.py"


def test_a_link_is_never_followed(project: Path, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text("PRIVATE")
    (project / "folder").symlink_to(tmp_path / "secrets")
    (project / "file").symlink_to(tmp_path / "secrets" / "key")

    tree = read_tree(project)

    assert "folder/key" not in {entry.path for entry in tree.entries}
    assert hashlib.sha256(b"PRIVATE").hexdigest() not in {entry.sha256 for entry in tree.entries}


def _fifo(root: Path) -> None:
    os.mkfifo(root / "trap")


def _socket(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(str(root / "trap"))


@pytest.mark.parametrize("trap", [_fifo, _socket], ids=lambda trap: trap.__name__)
def test_special_files_are_refused_and_do_not_hang(project: Path, trap: Callable[[Path], None]) -> None:
    trap(project)

    with pytest.raises(SourceError, match="neither a file nor a link") as caught:
        read_tree(project)
    assert caught.value.where == "'trap'"


def test_a_name_that_is_no_unicode_is_refused(project: Path) -> None:
    os.close(os.open(os.fsencode(project) + b"/\xff", os.O_CREAT))

    with pytest.raises(SourceError) as caught:
        read_tree(project)
    assert caught.value.where == r"'\udcff'"


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path, as_user: As) -> None:
    (tmp_path / "shut").write_text("x")

    def test() -> None:
        with open_workspace(Path("/var/tmp"), None) as workspace:
            (workspace.root / "work" / "shut").write_text("x")
            (workspace.root / "work" / "shut").chmod(0)
            with pytest.raises(SourceError, match="permission denied"):
                read_tree(workspace.root / "work")

    as_user(test)


def test_folders_nested_without_end_are_refused(project: Path) -> None:
    (project / "/".join("d" * 200)).mkdir(parents=True)

    with pytest.raises(SourceError, match="nested deeper"):
        read_tree(project)


def test_a_tree_is_made_again_with_its_modes_and_links(project: Path, store: ContentStore, tmp_path: Path) -> None:
    tree = read_tree(project, put=store.put_fd)
    (tmp_path / "again").mkdir()

    materialise(tree, store, tmp_path / "again", globs=None, uid=None)

    assert read_tree(tmp_path / "again").sha256 == tree.sha256
    assert stat.S_IMODE((tmp_path / "again" / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "again" / "src" / "deep" / "a.py").stat().st_mode) == 0o644


def test_what_a_stage_gets_belongs_to_it(project: Path, store: ContentStore, root: None) -> None:
    tree = read_tree(project, put=store.put_fd)
    with open_workspace(Path("/var/tmp"), 60_790) as workspace:
        materialise(tree, store, workspace.root / "work", globs=None, uid=60_790)

        owners = {path.lstat().st_uid for path in (workspace.root / "work").rglob("*")}
        assert owners == {60_790}


def test_only_what_globs_name_is_made(project: Path, store: ContentStore, tmp_path: Path) -> None:
    tree = read_tree(project, put=store.put_fd)
    (tmp_path / "again").mkdir()

    materialise(tree, store, tmp_path / "again", globs=["src/deep/**"], uid=None)

    assert [entry.path for entry in read_tree(tmp_path / "again").entries] == ["src/deep/a.py"]
    with pytest.raises(SourceError, match="matches no file"):
        materialise(tree, store, tmp_path / "again", globs=["docs/**"], uid=None)


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "src/../../outside"])
def test_a_link_that_leads_out_is_not_made(project: Path, store: ContentStore, tmp_path: Path, target: str) -> None:
    (project / "evil").symlink_to(target)
    tree = read_tree(project, put=store.put_fd)
    (tmp_path / "again").mkdir()

    with pytest.raises(SourceError, match="leads out") as caught:
        materialise(tree, store, tmp_path / "again", globs=None, uid=None)
    assert caught.value.where == "'evil'"
    materialise(tree, store, tmp_path / "again", globs=["src/deep/**"], uid=None)


def test_damaged_content_is_not_made(project: Path, store: ContentStore, tmp_path: Path) -> None:
    tree = read_tree(project, put=store.put_fd)
    digest = tree.digest_of("src/deep/a.py")
    assert digest is not None
    store.path(digest).chmod(0o600)
    store.path(digest).write_text("print(2)\n")
    (tmp_path / "again").mkdir()

    with pytest.raises(StoreError, match="damaged"):
        materialise(tree, store, tmp_path / "again", globs=None, uid=None)
    assert not (tmp_path / "again" / "src" / "deep" / "a.py").exists()


def test_a_folder_that_is_a_link_is_not_written_through(store: ContentStore, tmp_path: Path) -> None:
    """Even where the destination is not empty, as it should be."""
    sha256 = store.put(b"x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "d").symlink_to(tmp_path / "outside")

    with pytest.raises(SandboxError, match="not a directory"):
        materialise(
            make_manifest([TreeEntry("d/f", "100644", sha256)]), store, tmp_path / "again", globs=None, uid=None
        )
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_submodule_becomes_an_empty_folder(store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()

    materialise(
        make_manifest([TreeEntry("a/sub", "160000", store.put(b"c" * 40))]),
        store,
        tmp_path / "again",
        globs=None,
        uid=None,
    )

    assert list((tmp_path / "again" / "a" / "sub").iterdir()) == []


def test_links_are_made_last(store: ContentStore, tmp_path: Path) -> None:
    target = store.put(b"z")
    entries = [TreeEntry("a", LINK, target), TreeEntry("z/f", "100644", store.put(b"x"))]
    (tmp_path / "again").mkdir()

    materialise(make_manifest(entries), store, tmp_path / "again", globs=None, uid=None)

    assert (tmp_path / "again" / "a" / "f").read_text() == "x"
