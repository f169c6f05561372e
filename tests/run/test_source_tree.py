"""The manifest of a source tree: the same files give the same bytes, and hostile ones are refused."""

from __future__ import annotations

import json

import pytest

from policyd.errors import SourceError
from policyd.models.canonical import sha256_hex
from policyd.run.source_tree import (
    FILE,
    LINK,
    PROGRAM,
    SUBMODULE,
    TreeEntry,
    make_manifest,
    read_manifest,
    require_inside,
    select,
)

A, B = "a" * 64, "b" * 64


def test_the_same_files_have_the_same_name_in_any_order() -> None:
    entries = [TreeEntry("b", FILE, A), TreeEntry("a/c", PROGRAM, B), TreeEntry("a.txt", LINK, A)]

    manifest = make_manifest(entries)

    assert manifest.sha256 == make_manifest(reversed(entries)).sha256 == sha256_hex(manifest.content)
    assert json.loads(manifest.content) == {
        "policyd": "tree/v1",
        "entries": [["a.txt", "120000", A], ["a/c", "100755", B], ["b", "100644", A]],
    }


def test_commit_and_cleanness_are_no_part_of_its_name() -> None:
    entries = [TreeEntry("a", FILE, A)]

    assert make_manifest(entries).sha256 == make_manifest(entries, commit="c" * 40, clean=True).sha256


@pytest.mark.parametrize("change", [TreeEntry("a", FILE, B), TreeEntry("a", PROGRAM, A), TreeEntry("b", FILE, A)])
def test_any_difference_is_another_tree(change: TreeEntry) -> None:
    assert make_manifest([change]).sha256 != make_manifest([TreeEntry("a", FILE, A)]).sha256


def test_files_are_counted_and_found() -> None:
    manifest = make_manifest([TreeEntry("a", FILE, A), TreeEntry("l", LINK, B), TreeEntry("s", SUBMODULE, B)])

    assert manifest.files == 2
    assert manifest.digest_of("a") == A
    assert manifest.digest_of("l") is None
    assert manifest.digest_of("nothing") is None
    assert manifest.content_digests() == {A}


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a//b", "./a", "a/..", "../a", "a/", "a\0b", "\udc80", "x" * 4097, "/".join("d" * 129)],
    ids=range(11),
)
def test_paths_that_are_not_plain_are_refused(path: str) -> None:
    with pytest.raises(SourceError) as caught:
        make_manifest([TreeEntry(path, FILE, A)])

    assert caught.value.where.isascii()


def test_a_path_twice_is_refused() -> None:
    with pytest.raises(SourceError, match="twice"):
        make_manifest([TreeEntry("a", FILE, A), TreeEntry("a", FILE, B)])


@pytest.mark.parametrize("mode", [FILE, LINK, SUBMODULE])
def test_nothing_lies_below_a_file_or_link(mode: str) -> None:
    """A link and a file "below" it would write outside the tree when it is made again."""
    with pytest.raises(SourceError, match="no folder"):
        make_manifest([TreeEntry("a", mode, A), TreeEntry("a.b", FILE, A), TreeEntry("a/b", FILE, A)])  # type: ignore[arg-type]


def test_a_manifest_reads_back() -> None:
    manifest = make_manifest([TreeEntry("ä/☃", FILE, A), TreeEntry("b", SUBMODULE, B)])

    assert read_manifest(manifest.content).entries == manifest.entries


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"entries":[],"policyd":"tree/v2"}',
        b'{"entries":[], "policyd":"tree/v1"}',
        b'{"entries":[["a","100600","' + A.encode() + b'"]],"policyd":"tree/v1"}',
        b'{"entries":[["a","100644","A"]],"policyd":"tree/v1"}',
        b'{"entries":[["a","100644"]],"policyd":"tree/v1"}',
        b'{"entries":[["b","100644","%s"],["a","100644","%s"]],"policyd":"tree/v1"}' % (A.encode(), A.encode()),
        b'{"entries":[["../a","100644","%s"]],"policyd":"tree/v1"}' % A.encode(),
        b"[" * 100_000,
    ],
    ids=range(11),
)
def test_what_is_not_exactly_a_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(SourceError):
        read_manifest(content)


def test_globs_choose_entries() -> None:
    manifest = make_manifest([TreeEntry(path, FILE, A) for path in ("README", "src/a.py", "src/b/c.py", "tests/t.py")])

    assert [entry.path for entry in select(manifest, ["src/**", "README"])] == ["README", "src/a.py", "src/b/c.py"]
    assert select(manifest, None) == manifest.entries
    assert select(manifest, []) == ()


def test_a_glob_that_matches_nothing_is_refused() -> None:
    manifest = make_manifest([TreeEntry("src/a.py", FILE, A)])

    with pytest.raises(SourceError) as caught:
        select(manifest, ["src/**", "src"])
    assert caught.value.where == "'src'"
    assert "src/**" in caught.value.fix


@pytest.mark.parametrize(
    ("path", "target"),
    [("l", "a"), ("l", "a/b"), ("d/l", "../a"), ("d/e/l", "../../a/b"), ("l", "./a"), ("l", "..."), ("l", "missing")],
)
def test_links_that_stay_inside_are_taken(path: str, target: str) -> None:
    assert require_inside(TreeEntry(path, LINK, A), target.encode()) == target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", b"/etc/passwd"),
        ("l", b".."),
        ("l", b"../a"),
        ("d/l", b"../../a"),
        ("d/e/l", b"a/../../../x"),
        ("d/e/l", b"other/.."),
        ("d/l", b"./../../x"),
        ("l", b""),
        ("l", b"\xff"),
        ("l", b"a\0b"),
    ],
)
def test_links_that_could_lead_out_are_refused(path: str, target: bytes) -> None:
    with pytest.raises(SourceError, match="leads out"):
        require_inside(TreeEntry(path, LINK, A), target)
