"""`policyd record`: the log is recomputed, compared with every checkpoint, and given away."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Released

pytestmark = pytest.mark.xdist_group("cli-released")


def checkpoint(released: Released) -> str:
    """Return the checkpoint that the run's manifest holds."""
    bundle = json.loads(released.shop.object(released.manifest_sha256).read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return str(statement["predicate"]["checkpoint"])


def test_the_record_of_a_run_verifies_and_says_against_what(released: Released) -> None:
    said = released.shop.call("record", "verify").require(0)
    document = released.shop.call("record", "verify", "--format", "json").require(0).json

    assert said.out.startswith("ok  ")
    assert document["rollback_detectable"] is True
    assert document["evidence_problems"] == []
    assert len(document["checkpoints"]) >= 2


def test_a_checkpoint_that_somebody_kept_is_compared(released: Released, tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text(checkpoint(released))

    document = released.shop.call("record", "verify", "--checkpoint", note, "--format", "json").require(0).json

    assert str(note) in {one["source"] for one in document["checkpoints"]}


def test_a_checkpoint_of_another_history_refuses_the_record(released: Released, tmp_path: Path) -> None:
    """Signed by the log's own key: a fork (docs/threats.md, T15)."""
    script = f"""
import sys
from pathlib import Path
from policyd.adapters.signers.keyfile import load_key
from policyd.record.checkpoint import log_key, sign_checkpoint
signer = load_key(Path({str(released.shop.places.config / "keys" / "log.key")!r}), password="")
print(sign_checkpoint(3, bytes(32), log_key(signer.public_key_pem), signer.sign).note, end="")
"""
    forged = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    note = tmp_path / "note"
    note.write_text(forged)

    released.shop.call("record", "verify", "--checkpoint", note).require_one_error(1, str(note))


def test_what_is_no_checkpoint_is_a_wrong_request(released: Released, tmp_path: Path) -> None:
    for content in (b"", b"hello\n", b"\xff", b"x" * 100_000):
        (tmp_path / "note").write_bytes(content)
        released.shop.call("record", "verify", "--checkpoint", tmp_path / "note").require_one_error(
            2, str(tmp_path / "note")
        )
    released.shop.call("record", "verify", "--checkpoint", "nope").require_one_error(2, "nope")


def test_the_log_is_exported_as_tiles(released: Released, tmp_path: Path) -> None:
    said = released.shop.call("record", "export", tmp_path / "log").require(0)

    assert said.out.startswith("wrote ")
    assert (tmp_path / "log" / "checkpoint").read_text().startswith("policyd.dev/log/")
    assert list((tmp_path / "log" / "tile" / "entries").rglob("*"))
    released.shop.call("record", "export", tmp_path / "log").require(0)


def test_an_export_that_can_not_be_written_is_said(released: Released) -> None:
    released.shop.call("record", "export", "/proc/log").require_one_error(3, "/proc/log")
    released.shop.call("record", "export", "data.txt").require_one_error(2, "data.txt")


def test_record_alone_says_how_it_is_used(released: Released) -> None:
    said = released.shop.call("record").require(2)
    assert "Usage: policyd record" in said.err
    released.shop.call("record", "verfy").require_one_error(2, "Did you mean 'verify'?")
