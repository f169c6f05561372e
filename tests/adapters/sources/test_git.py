"""Git asked about repositories, most of them hostile."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policyd.adapters.sources import git as git_module
from policyd.adapters.sources.git import ObjectFormat, find_checkout, git_tree_id
from policyd.adapters.sources.tree import read_tree
from policyd.errors import SourceError

As = Callable[[Callable[[], None]], None]

pytestmark = pytest.mark.usefixtures("bwrap")

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        ["/usr/bin/git", *arguments], cwd=folder, env=_ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit_all(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any user can reach, as a checkout usually is."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture(params=["sha1", "sha256"])
def repository(place: Path, request: pytest.FixtureRequest) -> Path:
    git(place, "init", "-q", f"--object-format={request.param}", "repository")
    root = place / "repository"
    (root / ".gitignore").write_text("*.log\n/build/\n")
    (root / "src").mkdir()
    (root / "src" / "main.py").write_text("print(1)\n")
    (root / "src.txt").write_text("sorted between src and src/\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("src/main.py")
    (root / "naïve ☃\n.txt").write_text("odd name")
    commit_all(root)
    return root


@pytest.fixture
def simple(place: Path) -> Path:
    """A small repository of the usual format."""
    git(place, "init", "-q", "simple")
    root = place / "simple"
    (root / "file").write_text("one\n")
    commit_all(root)
    return root


def test_a_fresh_checkout_is_clean(repository: Path) -> None:
    tree = read_tree(repository)

    assert tree.commit == git(repository, "rev-parse", "HEAD")
    assert tree.clean is True
    assert [entry.path for entry in tree.entries] == sorted(
        [".gitignore", "link", "naïve ☃\n.txt", "run.sh", "src.txt", "src/main.py"]
    )


def test_ignored_files_are_left_out_and_untracked_ones_are_in(repository: Path) -> None:
    (repository / "debug.log").write_text("ignored")
    (repository / "build").mkdir()
    (repository / "build" / "x").write_text("ignored")
    (repository / "new.py").write_text("untracked")

    tree = read_tree(repository)

    paths = {entry.path for entry in tree.entries}
    assert "new.py" in paths
    assert not {"debug.log", "build/x"} & paths
    assert tree.clean is False


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_an_edit_git_is_told_to_overlook_is_seen(repository: Path, flag: str) -> None:
    git(repository, "update-index", flag, "src/main.py")
    (repository / "src" / "main.py").write_text("print('evil')\n")
    assert git(repository, "status", "--porcelain") == ""

    assert read_tree(repository).clean is False


def _edit(root: Path) -> None:
    (root / "src" / "main.py").write_text("print(2)\n")


def _make_executable(root: Path) -> None:
    (root / "src.txt").chmod(0o755)


def _remove(root: Path) -> None:
    (root / "src.txt").unlink()


def _replace_folder_by_link(root: Path) -> None:
    shutil.move(root / "src", root.parent / "elsewhere")
    (root / "src").symlink_to("../elsewhere")


def _turn_link(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").symlink_to("run.sh")


@pytest.mark.parametrize(
    "change", [_edit, _make_executable, _remove, _replace_folder_by_link, _turn_link], ids=lambda c: c.__name__
)
def test_any_change_makes_it_unclean_and_another_tree(repository: Path, change: Callable[[Path], None]) -> None:
    before = read_tree(repository)

    change(repository)

    after = read_tree(repository)
    assert (after.commit, after.clean) == (before.commit, False)
    assert after.sha256 != before.sha256


def test_a_file_added_to_the_index_alone_is_unclean(repository: Path) -> None:
    (repository / "added").write_text("x")
    git(repository, "add", "added")

    tree = read_tree(repository)

    assert tree.clean is False
    assert tree.digest_of("added") is not None


def test_a_folder_of_a_checkout_knows_its_commit(repository: Path) -> None:
    tree = read_tree(repository / "src")
    assert [entry.path for entry in tree.entries] == ["main.py"]
    assert (tree.commit, tree.clean) == (git(repository, "rev-parse", "HEAD"), True)

    (repository / "src" / "main.py").write_text("changed")
    assert read_tree(repository / "src").clean is False


def test_a_folder_a_repository_above_ignores_is_no_part_of_it(repository: Path) -> None:
    (repository / "build" / "deep").mkdir(parents=True)
    (repository / "build" / "deep" / "file").write_text("x")

    tree = read_tree(repository / "build" / "deep")

    assert [entry.path for entry in tree.entries] == ["file"]
    assert (tree.commit, tree.clean) == (None, None)


def test_a_repository_without_a_commit_claims_none(place: Path) -> None:
    git(place, "init", "-q", ".")
    (place / "file").write_text("x")

    tree = read_tree(place)

    assert [entry.path for entry in tree.entries] == ["file"]
    assert (tree.commit, tree.clean) == (None, None)


def test_a_submodule_stands_for_its_commit(simple: Path, place: Path) -> None:
    (place / "outer").mkdir()
    git(place / "outer", "init", "-q", ".")
    git(place / "outer", "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(simple), "sub")
    commit_all(place / "outer")

    tree = read_tree(place / "outer")

    assert {entry.path: entry.mode for entry in tree.entries} == {".gitmodules": "100644", "sub": "160000"}
    assert tree.clean is True


def test_a_linked_work_tree_is_read(simple: Path, place: Path) -> None:
    git(simple, "worktree", "add", "-q", str(place / "linked"))
    (place / "linked" / "file").write_text("changed there")

    assert (read_tree(place / "linked").commit, read_tree(place / "linked").clean) == (read_tree(simple).commit, False)
    assert read_tree(simple).clean is True


def test_packed_objects_and_references_are_read(simple: Path) -> None:
    git(simple, "gc", "-q")
    git(simple, "pack-refs", "--all")

    assert read_tree(simple).clean is True


def test_git_tree_ids_are_gits_own(repository: Path) -> None:
    checkout = find_checkout(repository)
    assert checkout is not None
    listed = git(repository, "ls-tree", "-r", "-z", "HEAD").split("\0")
    entries = []
    for record in filter(None, listed):
        facts, _, path = record.partition("\t")
        mode, _, object_id = facts.split(" ")
        entries.append((path, mode, bytes.fromhex(object_id)))

    assert git_tree_id(entries, checkout.format).hex() == git(repository, "rev-parse", "HEAD^{tree}")
    assert ObjectFormat.SHA1.blob_id(b"") == bytes.fromhex("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")


# Attacks.

_PROGRAM = "sh -c 'touch {marker}; sleep 20'"


def _fsmonitor(root: Path, marker: Path) -> None:
    git(root, "config", "core.fsmonitor", _PROGRAM.format(marker=marker))


def _clean_filter(root: Path, marker: Path) -> None:
    (root / ".gitattributes").write_text("* filter=evil\n")
    git(root, "config", "filter.evil.clean", _PROGRAM.format(marker=marker))
    git(root, "config", "filter.evil.required", "true")
    (root / "file").write_text("changed\n")


def _alias(root: Path, marker: Path) -> None:
    for name in ("cat-file", "ls-files"):
        git(root, "config", f"alias.{name}", "!" + _PROGRAM.format(marker=marker))


def _included(root: Path, marker: Path) -> None:
    (root / "evil.config").write_text(f'[core]\n\tfsmonitor = "{_PROGRAM.format(marker=marker)}"\n')
    git(root, "config", "include.path", str(root / "evil.config"))


def _hooks(root: Path, marker: Path) -> None:
    (root / "hooks").mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "post-checkout"):
        (root / "hooks" / name).write_text(f"#!/bin/sh\ntouch {marker}\nsleep 20\n")
        (root / "hooks" / name).chmod(0o755)
    git(root, "config", "core.hooksPath", str(root / "hooks"))


def _pager_and_editor(root: Path, marker: Path) -> None:
    for name in ("core.pager", "core.editor", "core.sshCommand", "core.askPass", "diff.external", "core.gitProxy"):
        git(root, "config", name, _PROGRAM.format(marker=marker))


def _promisor(root: Path, marker: Path) -> None:
    """A lazy fetch of a missing object would run the remote's transport."""
    git(root, "config", "core.repositoryFormatVersion", "1")
    git(root, "config", "extensions.partialClone", "evil")
    git(root, "config", "remote.evil.promisor", "true")
    git(root, "config", "remote.evil.url", f"ext::{_PROGRAM.format(marker=marker)}")
    git(root, "config", "protocol.ext.allow", "always")
    for file in (root / ".git" / "objects").rglob("??/*"):
        if file.is_file():
            file.unlink()


@pytest.mark.parametrize(
    "trap",
    [_fsmonitor, _clean_filter, _alias, _included, _hooks, _pager_and_editor, _promisor],
    ids=lambda trap: trap.__name__,
)
def test_a_hostile_configuration_runs_nothing(simple: Path, place: Path, trap: Callable[[Path, Path], None]) -> None:
    marker = place / "marker"
    trap(simple, marker)
    started = time.monotonic()

    try:
        tree = read_tree(simple)
        assert "file" in {entry.path for entry in tree.entries}
    except SourceError:
        assert trap is _promisor  # the repository is damaged, and that is said

    assert time.monotonic() - started < 10  # each program would sleep for 20 s
    assert not marker.exists()


@pytest.mark.parametrize("trap", [_fsmonitor, _included], ids=lambda trap: trap.__name__)
def test_the_traps_do_work_on_plain_git(simple: Path, place: Path, trap: Callable[[Path, Path], None]) -> None:
    """Else the test above would prove nothing."""
    marker = place / "marker"
    trap(simple, marker)
    config = simple / ".git" / "config"
    config.write_text(config.read_text().replace("sleep 20", "true"))
    if (simple / "evil.config").exists():
        (simple / "evil.config").write_text((simple / "evil.config").read_text().replace("sleep 20", "true"))

    git(simple, "status", check=False)

    assert marker.exists()


def test_another_work_tree_in_the_configuration_is_not_read(simple: Path, place: Path) -> None:
    (place / "secrets").mkdir()
    (place / "secrets" / "key").write_text("PRIVATE")
    git(simple, "config", "core.worktree", str(place / "secrets"))

    assert [entry.path for entry in read_tree(simple).entries] == ["file"]


def test_a_bare_repository_in_tracked_files_is_only_files(place: Path) -> None:
    git(place, "init", "-q", "--bare", "project")
    root = place / "project"
    marker = place / "marker"
    git(root, "config", "core.fsmonitor", _PROGRAM.format(marker=marker))
    git(root, "config", "core.bare", "false")
    git(root, "config", "core.worktree", str(root))

    tree = read_tree(root)

    assert (tree.commit, tree.clean) == (None, None)
    assert "HEAD" in {entry.path for entry in tree.entries}
    assert not marker.exists()


def test_a_git_link_to_another_repository_is_not_followed(simple: Path, place: Path) -> None:
    (place / "project").mkdir()
    (place / "project" / "mine").write_text("x")
    (place / "project" / ".git").symlink_to(simple / ".git")

    tree = read_tree(place / "project")

    assert ([entry.path for entry in tree.entries], tree.commit) == (["mine"], None)


def test_a_git_file_that_names_a_repository_which_does_not_know_it_is_not_followed(simple: Path, place: Path) -> None:
    git(simple, "worktree", "add", "-q", str(place / "linked"))
    (place / "project").mkdir()
    shutil.copy(place / "linked" / ".git", place / "project" / ".git")

    assert read_tree(place / "project").commit is None


def test_a_replaced_object_does_not_stand_in_for_the_commit(simple: Path) -> None:
    first = git(simple, "rev-parse", "HEAD")
    (simple / "file").write_text("two\n")
    second = commit_all(simple)
    git(simple, "replace", first, second)
    git(simple, "checkout", "-q", "--detach", first, check=False)
    git(simple, "update-ref", "--no-deref", "HEAD", first)
    (simple / "file").write_text("two\n")

    tree = read_tree(simple)

    assert (tree.commit, tree.clean) == (first, False)


def test_a_repository_in_a_folder_above_that_belongs_to_somebody_else_is_not_asked(
    place: Path, root: None, caplog: pytest.LogCaptureFixture
) -> None:
    git(place, "init", "-q", ".")
    (place / "project").mkdir()
    (place / "project" / "file").write_text("x")
    commit_all(place)
    os.chown(place / ".git", 12_345, 12_345)

    assert read_tree(place / "project").commit is None
    assert "belongs to user 12345" in caplog.text


# Owners.


def test_root_reads_the_checkout_of_a_user(simple: Path, root: None) -> None:
    """Plain git refuses this ("dubious ownership") unless told to trust the folder."""
    for path in (simple, *simple.rglob("*")):
        os.chown(path, 12_345, 12_345, follow_symlinks=False)

    assert read_tree(simple).clean is True
    simple.chmod(0o700)
    assert read_tree(simple).clean is True


def test_root_reads_a_checkout_nobody_else_can_reach(simple: Path, root: None) -> None:
    simple.chmod(0o700)
    (simple / ".git").chmod(0o700)

    assert read_tree(simple).clean is True


def test_git_as_root_can_change_nothing(simple: Path, root: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where root owns the repository and nobody else can reach it, git runs as root: the sandbox has to hold alone."""
    simple.chmod(0o700)
    program = (
        "cd /; touch /tree/x /git/x /usr/x /x; cat /etc/shadow; ls /proc /root /var; mount -o remount,rw,bind /tree;"
        " echo gone > /git/HEAD; grep Cap /proc/self/status; id -u; ls /; exit 1"
    )
    monkeypatch.setattr(git_module, "_SCRIPT", program)

    with pytest.raises(SourceError) as caught:
        read_tree(simple)

    said = caught.value.cause
    assert "cannot touch '/tree/x': Read-only file system" in said
    assert "root:" not in said
    assert (simple / ".git" / "HEAD").read_text().startswith("ref:")
    assert sorted(path.name for path in simple.iterdir()) == [".git", "file"]


def test_a_user_reads_his_own_checkout(simple: Path, root: None, as_user: As) -> None:
    for path in (simple, *simple.rglob("*")):
        os.chown(path, 12_345, 12_345, follow_symlinks=False)
    simple.chmod(0o700)

    def test() -> None:
        assert read_tree(simple).clean is True

    as_user(test)


# What can't be read.


def test_a_damaged_repository_is_an_error(simple: Path) -> None:
    for file in (simple / ".git" / "objects").rglob("??/*"):
        file.chmod(0o644)
        file.write_bytes(b"damaged")

    with pytest.raises(SourceError):
        read_tree(simple)


def test_without_git_all_files_are_read_and_no_commit_is_claimed(
    simple: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("policyd.adapters.helpers.SYSTEM_PATH", (simple,))
    (simple / ".gitignore").write_text("ignored\n")
    (simple / "ignored").write_text("x")

    tree = read_tree(simple)

    assert (tree.commit, tree.clean) == (None, None)
    assert [entry.path for entry in tree.entries] == [".gitignore", "file", "ignored"]
    assert "read without git" in caplog.text
