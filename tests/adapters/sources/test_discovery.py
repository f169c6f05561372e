from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from policyd.adapters.sources import discovery
from policyd.adapters.sources.discovery import Found, find_pipeline_files, open_beneath, read_beneath
from policyd.errors import InputTooLarge, PolicydError, SourceError

NATIVE = b"policyd: pipeline/v1\nname: x\n"


def _write(path: Path, content: bytes = NATIVE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _found(root: Path) -> dict[str, Found]:
    return {found.path: found for found in find_pipeline_files(root)}


def test_every_kind_of_pipeline_is_found(tmp_path: Path) -> None:
    names = [
        ".github/workflows/a.yaml",
        ".github/workflows/b.yml",
        "action.yml",
        "ci/any.yml",
        "pipeline.yaml",
        "sub/x.pipeline.yaml",
        "tools/setup/action.yaml",
        "vendored/.github/workflows/c.yml",
    ]
    for name in names:
        _write(tmp_path / name)

    found = _found(tmp_path)

    assert sorted(found) == names
    assert all(one.content == NATIVE for one in found.values())


def test_pipelines_of_other_systems_are_found_by_path_and_by_how_they_begin(tmp_path: Path) -> None:
    job = b"job:\n  stage: test\n  script: [make]\n"
    for name in (".gitlab-ci.yml", ".gitlab/ci/x.yml", "ci/Build.gitlab-ci.yml", "anywhere/child.yml"):
        _write(tmp_path / name, job)
    _write(tmp_path / "templates" / "lint.yml", b"spec:\n  inputs:\n    a:\n---\n" + job)
    _write(tmp_path / "chart" / "templates" / "x.yaml", b"apiVersion: v1\nkind: X\nspec:\n  script: {{ x }}\n")
    _write(tmp_path / "late.yml", b"#" * 20_000 + b"\n" + job)

    assert sorted(_found(tmp_path)) == [
        ".gitlab-ci.yml",
        ".gitlab/ci/x.yml",
        "anywhere/child.yml",
        "ci/Build.gitlab-ci.yml",
        "templates/lint.yml",
    ]


def test_a_pipeline_told_by_its_beginning_is_read_to_its_end_or_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "MAX_PIPELINE_BYTES", 60_000)
    job = b"job:\n  stage: test\n  script: [make]\n"
    _write(tmp_path / "fits.yml", job + b"#" * 50_000)
    _write(tmp_path / "large.yml", job + b"#" * 70_000)

    found = _found(tmp_path)

    assert found["fits.yml"].content == job + b"#" * 50_000
    assert isinstance(found["large.yml"].require_error(), InputTooLarge)


def test_a_link_to_a_gitlab_pipeline_is_reported(tmp_path: Path) -> None:
    _write(tmp_path / "secret.txt", b"job: {script: x}")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / ".gitlab-ci.yml").symlink_to(tmp_path / "secret.txt")

    assert "a link" in _found(tmp_path / "repository")[".gitlab-ci.yml"].require_error().cause


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    _write(tmp_path / "values.yaml", b"image: nginx\n")
    _write(tmp_path / "policyd.yaml", b"policyd: project/v1\n")
    _write(tmp_path / "pipeline.yaml", b"apiVersion: tekton.dev/v1\n")
    _write(tmp_path / ".github" / "workflows" / "deep" / "x.yml", b"on: push\n")
    _write(tmp_path / ".github" / "workflows" / "notes.txt", b"x")
    _write(tmp_path / "pipeline.json", NATIVE)

    assert _found(tmp_path) == {}


@pytest.mark.parametrize("folder", [".git", "node_modules", ".venv"])
def test_folders_that_are_not_the_repositorys_are_skipped(tmp_path: Path, folder: str) -> None:
    _write(tmp_path / folder / "pipeline.yaml")

    assert _found(tmp_path) == {}


def test_the_workflow_folder_may_be_named_itself(tmp_path: Path) -> None:
    _write(tmp_path / ".github" / "workflows" / "ci.yml", b"on: push\n")

    assert list(_found(tmp_path / ".github" / "workflows")) == ["ci.yml"]
    assert list(_found(tmp_path / ".github")) == ["workflows/ci.yml"]


def test_a_pipeline_with_a_mistake_ahead_of_its_first_key_is_found(tmp_path: Path) -> None:
    _write(tmp_path / "pipeline.yaml", b"name: x\npolicyd: pipeline/v1\n")

    assert list(_found(tmp_path)) == ["pipeline.yaml"]


@pytest.mark.parametrize("name", [".github/workflows/ci.yml", "pipeline.yaml", "action.yml"])
def test_a_link_in_place_of_a_pipeline_is_reported_and_not_followed(tmp_path: Path, name: str) -> None:
    _write(tmp_path / "secret", b"policyd: secret")
    link = tmp_path / "repository" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "secret")

    (found,) = find_pipeline_files(tmp_path / "repository")

    assert found.content is None
    assert "a link" in found.require_error().cause


@pytest.mark.parametrize("name", [".github", ".github/workflows"])
def test_a_link_in_place_of_the_workflow_folder_is_reported(tmp_path: Path, name: str) -> None:
    _write(tmp_path / "elsewhere" / "workflows" / "ci.yml")
    link = tmp_path / "repository" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")

    (found,) = find_pipeline_files(tmp_path / "repository")

    assert (found.path, found.content) == (name, None)


def test_a_linked_folder_is_not_walked(tmp_path: Path) -> None:
    _write(tmp_path / "elsewhere" / "pipeline.yaml")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "inside").symlink_to(tmp_path / "elsewhere")

    assert _found(tmp_path / "repository") == {}


def test_a_fifo_is_reported_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipeline.yaml")

    assert "a FIFO" in _found(tmp_path)["pipeline.yaml"].require_error().cause


def test_a_folder_called_like_a_pipeline_is_a_folder(tmp_path: Path) -> None:
    _write(tmp_path / "pipeline.yaml" / "pipeline.yaml")

    assert list(_found(tmp_path)) == ["pipeline.yaml/pipeline.yaml"]


def test_a_file_beyond_the_size_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MAX_PIPELINE_BYTES", 40)
    _write(tmp_path / "pipeline.yaml", NATIVE + b"#" * 40)

    assert isinstance(_found(tmp_path)["pipeline.yaml"].require_error(), InputTooLarge)


def test_a_file_or_folder_that_may_not_be_read_is_reported() -> None:
    """As a user, also where the tests run as root: root reads everything."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        _write(root / "pipeline.yaml").chmod(0)
        (root / "folder").mkdir(mode=0)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            found = _found(root)
        finally:
            os.seteuid(was)

    assert sorted(found) == ["folder", "pipeline.yaml"]
    assert all("can't be read" in one.require_error().cause for one in found.values())


def test_folders_nested_too_deep_are_reported(tmp_path: Path) -> None:
    _write(tmp_path.joinpath(*["d"] * 70, "pipeline.yaml"))

    (found,) = find_pipeline_files(tmp_path)

    assert isinstance(found.require_error(), InputTooLarge)


def test_more_entries_than_can_be_looked_at_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MAX_ENTRIES", 3)
    for number in range(4):
        _write(tmp_path / f"{number}.txt")

    with pytest.raises(InputTooLarge):
        _found(tmp_path)


def test_a_name_that_is_no_utf_8_is_shown_escaped(tmp_path: Path) -> None:
    descriptor = os.open(os.fsencode(tmp_path) + b"/\xff.pipeline.yaml", os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, NATIVE)
    os.close(descriptor)

    (found,) = find_pipeline_files(tmp_path)

    assert found.path == "\\xff.pipeline.yaml"
    assert found.content == NATIVE


def test_found_files_have_no_error(tmp_path: Path) -> None:
    _write(tmp_path / "pipeline.yaml")

    with pytest.raises(ValueError, match="was read"):
        _found(tmp_path)["pipeline.yaml"].require_error()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        _found(tmp_path / "nothing")
    with pytest.raises(SourceError):
        read_beneath(tmp_path / "nothing", "x")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\0b"])
def test_a_path_that_is_not_plain_is_refused(tmp_path: Path, path: str) -> None:
    _write(tmp_path / "a" / "b")

    with pytest.raises(SourceError, match="no plain relative path"):
        read_beneath(tmp_path, path)


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    _write(tmp_path / "a" / "b", b"12345")

    assert read_beneath(tmp_path, "a/b", max_bytes=5) == b"12345"
    with pytest.raises(InputTooLarge):
        read_beneath(tmp_path, "a/b", max_bytes=4)


def test_links_are_refused_wherever_they_stand_in_a_path(tmp_path: Path) -> None:
    _write(tmp_path / "real" / "file", b"x")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "real" / "link").symlink_to("file")

    for path in ("folder/file", "real/link"):
        with pytest.raises(SourceError, match="a link"):
            read_beneath(tmp_path, path)


def test_special_files_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(tmp_path)
            listener.bind("socket")
        finally:
            os.fchdir(here)
            os.close(here)
        causes = {}
        for name in ("fifo", "folder", "socket"):
            with pytest.raises(PolicydError) as caught:
                read_beneath(tmp_path, name)
            causes[name] = caught.value.cause

    assert causes == {
        "fifo": "this is a FIFO, not a regular file",
        "folder": "this is a folder, not a regular file",
        "socket": "this is a socket, not a regular file",
    }


def test_the_root_stays_open_and_nothing_else_does(tmp_path: Path) -> None:
    _write(tmp_path / "a" / "b", b"x")
    root = os.open(tmp_path, os.O_RDONLY)
    try:
        before = len(os.listdir("/proc/self/fd"))
        descriptor = open_beneath(root, "a/b")
        assert os.read(descriptor, 9) == b"x"
        os.close(descriptor)
        with pytest.raises(SourceError):
            open_beneath(root, "a/nothing")
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        os.close(root)


def test_a_pipeline_by_name_is_found_behind_any_length_of_comments(tmp_path: Path) -> None:
    _write(tmp_path / "pipeline.yaml", b"# padding\n" * 10_000 + NATIVE)

    assert list(_found(tmp_path)) == ["pipeline.yaml"]
