from __future__ import annotations

from pathlib import Path

import pytest

from policyd.errors import DocumentError, InputTooLarge, PolicydError
from policyd.pipeline.kinds import find_dialect
from policyd.pipeline.reading import read_pipeline

VECTORS = Path(__file__).parent.parent / "vectors" / "pipeline"
CASES = sorted(folder for folder in VECTORS.iterdir() if folder.is_dir())


def _read(folder: Path) -> object:
    file = next(path for path in folder.iterdir() if path.name != "error")
    path = f".github/workflows/{file.name}" if file.name == "workflow.yml" else file.name
    return read_pipeline(path, file.read_bytes())


def test_vectors_are_there() -> None:
    assert len(CASES) > 30


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_folder_ending_in_fail_is_refused_for_the_reason_it_names_and_every_other_one_reads(case: Path) -> None:
    if not case.name.endswith("_fail"):
        assert _read(case) is not None
        return
    name, where, cause = (case / "error").read_text().splitlines()

    with pytest.raises(PolicydError) as caught:
        _read(case)

    error = caught.value
    assert type(error).__name__ == name
    assert error.where == where
    assert cause in error.cause
    assert error.fix


@pytest.mark.parametrize("content", [b"[" * 100_000, b"- " * 100_000, b"{a: " * 100_000])
def test_yaml_nested_a_hundred_thousand_deep_is_refused_with_its_place(content: bytes) -> None:
    with pytest.raises(InputTooLarge, match="nested more than 64 deep") as caught:
        read_pipeline("pipeline.yaml", content)

    assert caught.value.where.startswith("pipeline.yaml:1:")


def test_github_files_are_told_by_their_path_whatever_they_hold() -> None:
    assert find_dialect(".github/workflows/ci.yml", b"policyd: pipeline/v1") == "github"
    assert find_dialect("vendor/x/.github/workflows/ci.yaml", b"") == "github"
    assert find_dialect("actions/setup/action.yml", b"") == "github"
    assert find_dialect(".github/workflows/ci.json", b"{}") is None


def test_native_files_are_told_by_their_first_key() -> None:
    assert find_dialect("ci/any.yml", b"\xef\xbb\xbf# c\n\n---\npolicyd: pipeline/v1\n") == "policyd"
    assert find_dialect("any.yaml", b'{"policyd": "pipeline/v1"}') == "policyd"
    assert find_dialect("any.yaml", b"name: x\npolicyd: pipeline/v1\n") is None
    assert find_dialect("policyd.yaml", b"policyd: project/v1\n") is None


def test_a_workflow_elsewhere_is_told_by_its_keys() -> None:
    assert find_dialect("ci.yml", b"on: push\njobs:\n  a: {}\n") == "github"


def test_a_file_of_no_dialect_is_refused_with_what_a_pipeline_begins_with() -> None:
    with pytest.raises(DocumentError, match="the first key of a pipeline is `policyd`") as caught:
        read_pipeline("values.yaml", b"image: nginx\n")

    assert "policyd: pipeline/v1" in caught.value.fix


def test_a_read_pipeline_keeps_the_very_bytes() -> None:
    content = (VECTORS / "everything" / "pipeline.yaml").read_bytes()

    read = read_pipeline("pipeline.yaml", content)

    assert read.content is content
    assert read.native is not None
    assert read.ref.name == "everything"


def test_places_reach_from_any_fact_into_the_file() -> None:
    content = (VECTORS / "everything" / "pipeline.yaml").read_bytes()
    read = read_pipeline("pipeline.yaml", content)

    pytest_command = next(command for command in read.facts.commands if command.program == "pytest")
    place = read.source_map.place(pytest_command.at)

    assert place is not None
    assert (place.line, place.column) == (25, 7)
    lines = content.decode().splitlines()
    assert lines[place.line - 1][place.column - 1 : place.end_column - 1] == pytest_command.text
    assert read.source_map.place(("commands", 99)) is None
    assert read.source_map.place(("nothing",)) is None
    assert read.source_map.place(()) is None
