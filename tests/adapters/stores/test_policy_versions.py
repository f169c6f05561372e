"""Versions of policy sets only go forward."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyd.adapters.stores.policy_versions import PolicyVersions
from policyd.errors import PolicydError, RecordError, SettingsError, StoreError, UnsafePermissions, VerificationFailed
from policyd.models.policy_bundle import PolicySetPredicate


def predicate(version: int, *, name: str = "ours", digest: str = "a", year: int = 2027) -> PolicySetPredicate:
    expires_at = datetime(year, 1, 1, tzinfo=UTC)
    return PolicySetPredicate(name=name, version=version, expires_at=expires_at, policy_set_sha256=digest * 64)


@pytest.fixture
def versions(tmp_path: Path) -> PolicyVersions:
    return PolicyVersions.create(tmp_path / "state", store=tmp_path / "store")


def forward(versions: PolicyVersions, *args: int, **fields: object) -> None:
    versions.require_forward(predicate(*args, **fields), where="ours.tar.gz")  # type: ignore[arg-type]


def test_the_same_and_later_versions_are_taken(versions: PolicyVersions) -> None:
    forward(versions, 1)
    forward(versions, 1)
    forward(versions, 3, digest="b")
    forward(versions, 2**53 - 1, digest="c")


def test_an_older_version_is_refused_also_by_another_process(versions: PolicyVersions, tmp_path: Path) -> None:
    forward(versions, 3)

    again = PolicyVersions.create(tmp_path / "state", store=tmp_path / "store")
    with pytest.raises(VerificationFailed, match=r"version 2 .* is older than version 3"):
        forward(again, 2)
    forward(again, 3)


def test_one_version_is_one_content(versions: PolicyVersions) -> None:
    forward(versions, 3)

    with pytest.raises(VerificationFailed, match="with other rules or data"):
        forward(versions, 3, digest="b")


def test_a_version_may_be_signed_again_with_a_later_expiry(versions: PolicyVersions) -> None:
    forward(versions, 3)
    forward(versions, 3, year=2028)


def test_each_set_has_versions_of_its_own(versions: PolicyVersions) -> None:
    forward(versions, 3)
    forward(versions, 1, name="theirs")


def test_a_refused_version_is_not_remembered(versions: PolicyVersions) -> None:
    forward(versions, 3)
    with pytest.raises(VerificationFailed):
        forward(versions, 2)
    forward(versions, 3)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"version": 1}', b"x" * 5000])
def test_a_damaged_memory_is_an_error_and_not_a_first_time(
    versions: PolicyVersions, tmp_path: Path, content: bytes
) -> None:
    forward(versions, 3)
    (tmp_path / "state/policy-sets/ours").write_bytes(content)

    with pytest.raises(PolicydError):
        forward(versions, 4)


def test_the_memory_of_another_set_is_not_taken(versions: PolicyVersions, tmp_path: Path) -> None:
    forward(versions, 3)
    forward(versions, 1, name="theirs")
    folder = tmp_path / "state/policy-sets"
    (folder / "ours").write_bytes((folder / "theirs").read_bytes())

    with pytest.raises(RecordError, match="'theirs'"):
        forward(versions, 2)


def test_a_link_in_its_place_is_not_followed(versions: PolicyVersions, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("{}")
    (tmp_path / "state/policy-sets/ours").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreError):
        forward(versions, 1)


def test_it_lies_apart_from_the_store_and_belongs_to_us(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lie in each other"):
        PolicyVersions.create(tmp_path / "store/state", store=tmp_path / "store")
    (tmp_path / "open/policy-sets").mkdir(parents=True)
    (tmp_path / "open/policy-sets").chmod(0o777)
    with pytest.raises(UnsafePermissions):
        PolicyVersions.create(tmp_path / "open", store=tmp_path / "store")
