"""What both memories of versions have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.adapters.stores.highest_versions import HighestVersions, Seen
from policyd.errors import StoreError, VerificationFailed


def versions(folder: Path) -> HighestVersions[Seen]:
    return HighestVersions(
        folder, Seen, what="letter", refused=lambda _, __, where: VerificationFailed("back", where=where, fix="forward")
    )


def test_only_what_was_seen_last_is_known_already(tmp_path: Path) -> None:
    memory = versions(tmp_path)
    memory.remember(Seen(name="a", version=2), where="x")

    assert memory.require_not_behind(Seen(name="a", version=2), where="x")
    assert not memory.require_not_behind(Seen(name="a", version=3), where="x")
    assert not memory.require_not_behind(Seen(name="b", version=1), where="x")
    with pytest.raises(VerificationFailed):
        memory.require_not_behind(Seen(name="a", version=1), where="x")


def test_asking_remembers_nothing(tmp_path: Path) -> None:
    memory = versions(tmp_path)

    memory.require_not_behind(Seen(name="a", version=2), where="x")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../a", ".", "A", "a\n", ""])
def test_a_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a name of a letter"):
        versions(tmp_path).path(name)


def test_without_the_folder_nothing_can_be_remembered(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="state folder can't be used"):
        versions(tmp_path / "gone").remember(Seen(name="a", version=1), where="x")
