from __future__ import annotations

from collections.abc import Callable

import pytest

from policyd.adapters.library import library_files
from policyd.errors import PolicydError
from policyd.models.canonical import sha256_hex
from policyd.policy.policy_files import FileKind, digest_policy_files, kind_of, list_policy_files
from policyd.policy.policy_set import read_policy_list, read_policy_set

Files = Callable[..., dict[str, bytes]]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("colours/red/red.rego", FileKind.MODULE),
        ("colours/red/red_test.rego", FileKind.TEST),
        ("collections/baseline.json", FileKind.COLLECTION),
        ("settings/colours.json", FileKind.SETTINGS),
        ("data/components.json", FileKind.KNOWN),
        ("data/data.json", FileKind.UNKNOWN),
        ("data/deeper/components.json", FileKind.UNKNOWN),
        ("frameworks/slsa.json", FileKind.BESIDE),
        ("README.md", FileKind.BESIDE),
        ("setting/colours.json", FileKind.UNKNOWN),
        ("collections/deeper/baseline.json", FileKind.UNKNOWN),
        ("collections/baseline.json\n", FileKind.UNKNOWN),
        ("colours/red/red.regox", FileKind.UNKNOWN),
    ],
)
def test_a_path_says_what_a_file_is(path: str, kind: FileKind) -> None:
    assert kind_of(path) is kind


def test_the_digest_of_the_files_is_the_digest_of_the_set_read_from_them(files: Files) -> None:
    given = {
        **files("red", "blue"),
        "colours/red/red_test.rego": b"package policyd.colours.red_test\n\ntest_it if true\n",
        "collections/all.json": b'["colours.red"]',
        "settings/colours.json": b"{}",
        "README.md": b"x",
    }

    assert digest_policy_files(given) == read_policy_set(given, "x").sha256


def test_the_library_has_one_digest_however_it_is_made() -> None:
    given = library_files()

    assert digest_policy_files(given) == read_policy_set(given, "policyd-library").sha256
    assert digest_policy_files(library_files(tests=True)) == digest_policy_files(given)


def test_a_set_is_named_by_the_list_of_its_files(files: Callable[..., dict[str, bytes]]) -> None:
    given = {**files("red"), "README.md": b"for others"}

    policy_set = read_policy_set(given, "x")

    assert sha256_hex(list_policy_files(policy_set.files)) == policy_set.sha256
    assert read_policy_list(list_policy_files(given), where="list") == {
        path: sha256_hex(content) for path, content in files("red").items()
    }


@pytest.mark.parametrize("content", [b"{}", b"[[1, 2]]", b'[["a.rego"]]', b'[["a.rego", ["x"]]]', b'"a"'])
def test_what_is_no_list_of_files_is_refused(content: bytes) -> None:
    with pytest.raises(PolicydError):
        read_policy_list(content, where="list")
