from __future__ import annotations

import os
from pathlib import Path

import pytest

from policyd.adapters import library
from policyd.adapters.library import library_builtins, library_files, read_policies_beneath, read_policy_folder
from policyd.errors import PolicyError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "red.rego").write_text("rule")
    (tmp_path / "red" / "red_test.rego").write_text("test")
    (tmp_path / "README.md").write_text("x")
    (tmp_path / ".hidden.rego").write_text("x")
    return tmp_path


def test_the_library_comes_with_its_lists() -> None:
    assert "collections/baseline.json" in library_files()
    assert "http.send" not in library_builtins().pure
    assert library_builtins().alike < library_builtins().pure


def test_policy_files_are_read_without_tests_and_documents(folder: Path) -> None:
    assert read_policy_folder(folder) == {"red/red.rego": b"rule"}
    assert set(read_policy_folder(folder, tests=True)) == {"red/red.rego", "red/red_test.rego"}


def test_a_test_without_a_rule_beside_it_is_read(folder: Path) -> None:
    """It may be a rule with a misleading name; left out, it would never be asked."""
    (folder / "failed_test.rego").write_text("rule")

    assert "failed_test.rego" in read_policy_folder(folder)


@pytest.mark.parametrize("kind", ["file", "folder", "dangling"])
def test_a_link_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "evil.rego").write_text("x")
    target = {"file": outside / "evil.rego", "folder": outside, "dangling": outside / "none"}[kind]
    (folder / "link").symlink_to(target)

    with pytest.raises(PolicyError) as refused:
        read_policy_folder(folder)

    assert refused.value.where == f"{folder}/link"


def test_a_special_file_is_refused_and_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "pipe.rego")

    with pytest.raises(PolicyError, match="regular"):
        read_policy_folder(folder)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="can't be opened"):
        read_policy_folder(tmp_path / "none")


def test_a_file_in_place_of_the_folder_is_refused(folder: Path) -> None:
    with pytest.raises(PolicyError, match="can't be opened"):
        read_policy_folder(folder / "README.md")


def test_more_than_the_bound_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "MAX_FOLDER_BYTES", 10)
    (folder / "large.rego").write_text("x" * 100)

    with pytest.raises(PolicyError, match="too large"):
        read_policy_folder(folder)


def test_folders_nested_too_deep_are_refused(folder: Path) -> None:
    (folder / "/".join("abcdefghijkl")).mkdir(parents=True)

    with pytest.raises(PolicyError, match="nested deeper"):
        read_policy_folder(folder)


def test_a_projects_policies_are_read_beneath_its_root(tmp_path: Path) -> None:
    (tmp_path / "ci/policies").mkdir(parents=True)
    (tmp_path / "ci/policies/a.rego").write_text("package project.a\n")

    assert read_policies_beneath(tmp_path, "ci/policies") == {"a.rego": b"package project.a\n"}


@pytest.mark.parametrize("folder", ["", ".", "..", "/etc", "ci/../../etc", "ci//policies", "ci/", "./ci", "ci\0"])
def test_a_path_that_leads_out_of_the_project_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "ci").mkdir()

    with pytest.raises(PolicyError, match="plain relative path"):
        read_policies_beneath(tmp_path, folder)


def test_a_link_on_the_way_or_in_the_folder_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "project", tmp_path / "outside"
    (root / "real").mkdir(parents=True)
    outside.mkdir()
    (outside / "a.rego").write_text("package project.a\n")
    (root / "linked").symlink_to(outside)
    (root / "real" / "a.rego").symlink_to(outside / "a.rego")

    with pytest.raises(PolicyError, match="a link or no folder"):
        read_policies_beneath(root, "linked")
    with pytest.raises(PolicyError, match="not a regular file"):
        read_policies_beneath(root, "real")


def test_a_project_brings_less_than_an_operator(tmp_path: Path) -> None:
    """What it brings is parsed into eighty times as much."""
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "large.rego").write_bytes(b"#" * (library.MAX_PROJECT_BYTES + 1))

    with pytest.raises(PolicyError, match="too large"):
        read_policies_beneath(tmp_path, "ci")
