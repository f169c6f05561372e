from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from policyd.adapters.artifacts import (
    MAX_KEPT_BYTES,
    file_ids,
    hash_open_file,
    list_folder,
    names_digest,
    read_artifact,
)
from policyd.adapters.beneath import CHUNK_BYTES
from policyd.errors import InputTooLarge, UsageError, VerificationFailed


def test_a_file_is_read_once_with_all_the_digests_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.whl"
    path.write_bytes(b"x" * (CHUNK_BYTES + 1))

    artifact = read_artifact(str(path), {"sha256", "sha512"}, keep_content=True)

    (file,) = artifact.files
    assert (artifact.name, artifact.kind) == ("x.whl", "wheel")
    assert file.digests == {name: hashlib.new(name, path.read_bytes()).digest() for name in ("sha256", "sha512")}
    assert file.content == path.read_bytes()
    assert read_artifact(str(path), {"sha256"}).files[0].content is None


@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite", "touch"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 3 * CHUNK_BYTES)
    done: list[bool] = []

    def disturb() -> None:
        if done:
            return
        done.append(True)
        state = path.stat()
        match change:
            case "grow":
                with path.open("ab") as file:
                    file.write(b"more")
            case "shrink":
                os.truncate(path, 2 * CHUNK_BYTES)
            case "rewrite":
                # Of the same size, and with the time put back: the time of the change itself can't be.
                with path.open("r+b") as file:
                    file.seek(2 * CHUNK_BYTES)
                    file.write(b"y")
                os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
            case _:
                os.utime(path, (0, 0))

    with path.open("rb") as file, pytest.raises(VerificationFailed, match="changed while it was read"):
        hash_open_file(file.fileno(), "x", {"sha256"}, after_chunk=disturb)


def test_a_file_that_begins_as_an_envelope_is_known(tmp_path: Path) -> None:
    for content, expected in ((b"DSSEv1 1 a 1 b", True), (b"DSSEv1", False), (b"", False), (b"xDSSEv1 ", False)):
        path = tmp_path / "x"
        path.write_bytes(content)

        assert read_artifact(str(path), {"sha256"}).files[0].begins_as_envelope is expected


def test_a_digest_is_an_artifact_unless_a_file_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digest = "sha256:" + "ab" * 32

    artifact = read_artifact(digest, {"sha256"})

    assert artifact.kind == "digest"
    assert artifact.files[0].digests == {"sha256": b"\xab" * 32}
    assert names_digest("sha512:" + "ab" * 64)
    for text in ("sha256:" + "ab" * 31, "sha256:" + "AB" * 32, "md5:" + "ab" * 16, "sha256:" + "ab" * 64):
        assert not names_digest(text)
        with pytest.raises(UsageError):
            read_artifact(text, {"sha256"})
    (tmp_path / digest).write_bytes(b"x")
    assert read_artifact(digest, {"sha256"}).kind == "file"


def test_a_folder_is_all_its_files_but_those_left_out(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("z", "a/y", "a/b/x"):
        (tmp_path / name).write_bytes(name.encode())

    artifact = read_artifact(str(tmp_path), {"sha256"}, leave_out=file_ids([tmp_path / "z", tmp_path / "missing"]))

    assert [file.name for file in artifact.files] == ["a/b/x", "a/y"]
    assert artifact.files[0].digests["sha256"] == hashlib.sha256(b"a/b/x").digest()
    assert list_folder(tmp_path) == ["a/b/x", "a/y", "z"]


def test_links_in_a_folder_are_refused_and_the_one_a_user_names_is_followed(tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    (release / "x").write_bytes(b"x")
    (tmp_path / "named").symlink_to(release)
    (tmp_path / "file").symlink_to(release / "x")
    assert len(read_artifact(str(tmp_path / "named"), {"sha256"}).files) == 1
    assert read_artifact(str(tmp_path / "file"), {"sha256"}).kind == "file"

    (release / "link").symlink_to("/etc/passwd")

    with pytest.raises(UsageError, match="a link or a special file"):
        read_artifact(str(release), {"sha256"})


def test_a_pipe_is_no_artifact_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError, match="not a regular file"):
        read_artifact(str(tmp_path / "pipe"), {"sha256"})
    with pytest.raises(UsageError, match="special file"):
        read_artifact(str(tmp_path), {"sha256"})


@pytest.mark.parametrize("text", ["", "missing", "missing/x", "x\0y"])
def test_what_is_not_there(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        read_artifact(text or "nothing", {"sha256"})
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="no file"):
        read_artifact(str(empty), {"sha256"})


def test_content_is_kept_up_to_a_bound(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(MAX_KEPT_BYTES // 2 + 1)
    with (tmp_path / "c").open("wb") as file:
        file.truncate(MAX_KEPT_BYTES + 1)

    with pytest.raises(InputTooLarge):
        read_artifact(str(tmp_path / "c"), {"sha256"}, keep_content=True)
    with pytest.raises(InputTooLarge):
        read_artifact(str(tmp_path), {"sha256"}, keep_content=True)
