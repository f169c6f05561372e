"""Trust policies only go forward on one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.adapters.stores.trust_versions import TrustVersions
from policyd.errors import PolicydError, RecordError, StoreError, VerificationFailed

A, B = "a" * 64, "b" * 64


def remember(state: Path, version: int, sha256: str = A, name: str = "ours") -> None:
    TrustVersions(state).remember(name, version, sha256, where="trust.json")


def require(state: Path, version: int, sha256: str = A, name: str = "ours") -> None:
    TrustVersions(state).require_not_behind(name, version, sha256, where="settings.yaml")


def test_without_a_memory_every_version_will_do_and_none_is_made_by_asking(tmp_path: Path) -> None:
    require(tmp_path / "state", 1)

    assert not (tmp_path / "state").exists()


def test_what_was_pinned_and_later_versions_will_do(tmp_path: Path) -> None:
    remember(tmp_path, 3)

    require(tmp_path, 3)
    require(tmp_path, 4, B)
    require(tmp_path, 1, B, name="theirs")
    remember(tmp_path, 3)
    remember(tmp_path, 5, B)


@pytest.mark.parametrize(("version", "sha256"), [(2, A), (2, B), (3, B)])
def test_an_older_version_or_another_content_is_refused(tmp_path: Path, version: int, sha256: str) -> None:
    remember(tmp_path, 3)

    for ask in (require, remember):
        with pytest.raises(VerificationFailed, match="pinned here"):
            ask(tmp_path, version, sha256)
    require(tmp_path, 3)


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b'{"policyd":"trust-version/v1","name":"other"'])
def test_a_damaged_memory_is_an_error_and_no_leave(tmp_path: Path, content: bytes) -> None:
    remember(tmp_path, 3)
    (tmp_path / "trust-policies" / "ours").write_bytes(content)

    with pytest.raises(PolicydError) as caught:
        require(tmp_path, 4)
    assert caught.value.exit_code != 0


def test_a_memory_under_another_name_is_an_error(tmp_path: Path) -> None:
    remember(tmp_path, 3)
    (tmp_path / "trust-policies" / "ours").rename(tmp_path / "trust-policies" / "theirs")

    with pytest.raises(RecordError, match="remembers the trust policy 'ours'"):
        require(tmp_path, 9, name="theirs")


def test_a_link_in_place_of_the_memory_is_an_error(tmp_path: Path) -> None:
    remember(tmp_path, 3)
    memory = tmp_path / "trust-policies" / "ours"
    memory.rename(tmp_path / "elsewhere")
    memory.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreError):
        require(tmp_path, 3)
