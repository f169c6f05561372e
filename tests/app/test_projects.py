"""Where a project begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.app.projects import find_root, relative_to_root
from policyd.errors import UsageError


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text("")
    return folder


def test_a_folder_without_a_marker_is_its_own_project(deep: Path) -> None:
    assert find_root(deep) == deep
    assert find_root(deep / "pipeline.yaml") == deep


@pytest.mark.parametrize("marker", ["policyd.yaml", ".git"])
def test_the_nearest_marker_above_makes_the_project(deep: Path, marker: str) -> None:
    (deep.parent / marker).mkdir()
    (deep.parent.parent / marker).mkdir()

    assert find_root(deep / "pipeline.yaml") == deep.parent
    assert relative_to_root(deep / "pipeline.yaml", deep.parent) == "c/pipeline.yaml"


def test_what_lies_above_a_checkout_makes_no_project_of_it(deep: Path) -> None:
    """Anyone may put a policyd.yaml into /tmp: everything there must not become somebody's source tree."""
    (deep.parent.parent / "policyd.yaml").write_text("policyd: project/v1\n")
    (deep.parent / ".git").mkdir()

    assert find_root(deep) == deep.parent


def test_a_link_leads_to_the_project_it_points_into(deep: Path, tmp_path: Path) -> None:
    (deep / ".git").mkdir()
    (tmp_path / "link.yaml").symlink_to(deep / "pipeline.yaml")

    assert find_root(tmp_path / "link.yaml") == deep


def test_a_path_that_is_not_there_has_no_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such path"):
        find_root(tmp_path / "nope")
