from __future__ import annotations

from pathlib import Path

import pytest

from policyd.adapters.stores.state import RecordState, require_apart
from policyd.attestation.signing import Signer
from policyd.errors import RecordError, SettingsError, UnsafePermissions
from policyd.record.checkpoint import VerifiedCheckpoint, log_key, sign_checkpoint


@pytest.fixture
def state(tmp_path: Path) -> RecordState:
    return RecordState.create(tmp_path / "state", store=tmp_path / "store")


def checkpoint(signer: Signer, size: int) -> VerifiedCheckpoint:
    return sign_checkpoint(size, bytes(32), log_key(signer.public_key_pem), signer.sign)


def test_what_is_remembered_is_found(state: RecordState, signer: Signer, tmp_path: Path) -> None:
    assert state.find(signer.key_sha256) is None

    assert state.remember(checkpoint(signer, 1), signer.key_sha256, kept=None)

    found = RecordState(tmp_path / "state").find(signer.key_sha256)
    assert found is not None
    assert (found.note, found.outside) == (checkpoint(signer, 1).note, True)
    assert state.list_keys() == (signer.key_sha256,)


def test_the_state_never_goes_backwards(state: RecordState, signer: Signer) -> None:
    state.remember(checkpoint(signer, 2), signer.key_sha256, kept=None)

    with pytest.raises(RecordError, match="would be replaced by one of 1"):
        state.remember(checkpoint(signer, 1), signer.key_sha256, kept=checkpoint(signer, 2))


def test_what_another_policyd_remembered_meanwhile_is_not_replaced(state: RecordState, signer: Signer) -> None:
    state.remember(checkpoint(signer, 5), signer.key_sha256, kept=None)

    assert not state.remember(checkpoint(signer, 3), signer.key_sha256, kept=None)

    found = state.find(signer.key_sha256)
    assert found is not None
    assert found.note == checkpoint(signer, 5).note


@pytest.mark.parametrize(
    ("state", "store"), [("store/state", "store"), ("store", "store"), ("state", "state/store"), ("link", "store")]
)
def test_a_state_that_goes_back_with_the_store_is_refused(tmp_path: Path, state: str, store: str) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "store")

    with pytest.raises(SettingsError, match="lie in each other"):
        require_apart(tmp_path / state, tmp_path / store)


def test_a_state_that_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)

    with pytest.raises(UnsafePermissions):
        RecordState.create(tmp_path / "state", store=tmp_path / "store")


def test_files_that_are_no_keys_are_passed_over(state: RecordState, tmp_path: Path) -> None:
    (tmp_path / "state" / "checkpoints" / ".leftover").write_text("x")

    assert state.list_keys() == ()
    with pytest.raises(ValueError, match="fingerprint"):
        state.find("../../etc/passwd")
