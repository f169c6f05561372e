"""`policyd check` reads what a pipeline includes below the folder asked for or the project's root, nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.app.check import read_paths


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a git repository with a GitLab pipeline whose job stands in another file."""
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    (root / "ci").mkdir()
    (root / "ci" / "base.txt").write_text("job:\n  script: [make]\n")
    (root / ".gitlab-ci.yml").write_text("include: ci/base.txt\n")
    return root


def _ran(path: Path) -> list[tuple[str, list[str]]]:
    read, unreadable = read_paths([path])
    assert not unreadable
    return [(one.ref.path, [command.text for command in one.facts.commands]) for one in read]


def test_a_file_named_includes_from_the_root(project: Path) -> None:
    assert _ran(project / ".gitlab-ci.yml") == [(".gitlab-ci.yml", ["make"])]


def test_a_folder_named_includes_from_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)

    assert _ran(Path()) == [(".gitlab-ci.yml", ["make"])]
    assert [commands for _, commands in _ran(project)] == [["make"]]


def test_a_folder_below_includes_from_itself_then_from_the_root(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = project / "samples"
    below.mkdir()
    (below / ".gitlab-ci.yml").write_text("include: [own.txt, ci/base.txt]\n")
    (below / "own.txt").write_text("own:\n  script: [own]\n")
    monkeypatch.chdir(project)

    assert _ran(Path("samples")) == [("samples/.gitlab-ci.yml", ["own", "make"])]


def test_nothing_outside_and_no_link_is_read(project: Path) -> None:
    (project.parent / "secret.yml").write_text("job:\n  script: [secret]\n")
    (project / "link.yml").symlink_to(project.parent / "secret.yml")
    (project / ".gitlab-ci.yml").write_text("include: [../secret.yml, link.yml, /link.yml]\n")

    assert _ran(project / ".gitlab-ci.yml") == [(".gitlab-ci.yml", [])]
