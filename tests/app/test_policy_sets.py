"""Where a policy set may come from, before any command is involved."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.adapters.library import library_files
from policyd.app.policy_sets import is_bundle, load_policy_set
from policyd.errors import PolicyError, SettingsError
from policyd.policy.bundle_archive import write_archive
from policyd.policy.policy_set import read_policy_set
from tests.attestation.made_run import NOW
from tests.policy.made_bundle import FOLDER, attest, signed_files, unsigned_files


def test_without_a_path_it_is_the_library() -> None:
    found = load_policy_set(None, None, now=NOW)

    assert found.ref == read_policy_set(library_files(), "policyd-library").ref


def test_a_folder_is_read_and_named_in_errors(tmp_path: Path) -> None:
    for path, content in FOLDER.items():
        (tmp_path / "ours" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ours" / path).write_bytes(content)
    assert load_policy_set(tmp_path / "ours", None, now=NOW).ref == read_policy_set(FOLDER, "ours").ref

    (tmp_path / "ours/lib/naming.rego").write_text("package elsewhere\n")
    with pytest.raises(PolicyError) as caught:
        load_policy_set(tmp_path / "ours", None, now=NOW)
    assert caught.value.where == f"{tmp_path}/ours/lib/naming.rego:1"


def test_a_relative_path_is_refused() -> None:
    """It would mean another folder wherever the command is called."""
    with pytest.raises(SettingsError, match="not absolute"):
        load_policy_set(Path("ours"), None, now=NOW)


def test_a_bundle_counts_for_nothing_where_nobody_says_who_may_sign(tmp_path: Path) -> None:
    content = write_archive(signed_files(unsigned_files()), where="bundle")
    (tmp_path / "ours.tar.gz").write_bytes(content)
    (tmp_path / "ours.tar.gz.sigstore.json").write_bytes(attest(content))

    with pytest.raises(SettingsError, match="nobody says who may sign"):
        load_policy_set(tmp_path / "ours.tar.gz", None, now=NOW)


def test_a_bundle_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for missing in (tmp_path / "ours", tmp_path / "ours.tar.gz"):
        with pytest.raises((PolicyError, SettingsError)):
            load_policy_set(missing, None, now=NOW)


def test_a_folder_may_be_called_like_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "ours.tar.gz").mkdir()

    assert not is_bundle(tmp_path / "ours.tar.gz")
