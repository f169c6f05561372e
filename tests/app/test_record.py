"""Attacks on the record, each by somebody who can write the whole store but has no log key (or is the operator)."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policyd.adapters.stores.store import Store, open_store
from policyd.app.record import export_tiles, list_runs, mark_interrupted_runs, show_run, verify_record
from policyd.errors import RecordError, SettingsError, StoreError, UsageError
from policyd.models.canonical import sha256_hex
from policyd.models.records import Event, EventKind
from policyd.record.checkpoint import log_key, sign_checkpoint
from policyd.record.entries import render_entry
from policyd.record.merkle import CompactRange, leaf_hash
from policyd.record.note import NoteKey
from policyd.record.verify import ROLLBACK_NOT_DETECTABLE, RecordReport


class LogSigner:
    """An Ed25519 key in memory."""

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = self._key.public_key()
        self.public_key_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.key_sha256 = sha256_hex(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        self.note_key = log_key(self.public_key_pem)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


OPERATOR, STRANGER = LogSigner(1), LogSigner(2)
RUN = "ab" * 16
COUNT = 11


class Place:
    """A store with a record of `COUNT` entries, its state folder, and an attacker's hands."""

    def __init__(self, root: Path) -> None:
        self.store, self.state = root / "store", root / "state"
        self.database = self.store / "record" / "record.sqlite"

    def open(self) -> Store:
        return open_store(self.store, self.state, OPERATOR)

    def verify(self, keys: Sequence[NoteKey] = (OPERATOR.note_key,), **checkpoints: str) -> RecordReport:
        return verify_record(self.store, self.state, keys, checkpoints=checkpoints)

    def change(self, *statements: str) -> None:
        connection = sqlite3.connect(self.database)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def entries(self) -> list[bytes]:
        connection = sqlite3.connect(self.database)
        rows = [row[0] for row in connection.execute("SELECT content FROM entries ORDER BY number")]
        connection.close()
        return rows

    def rewrite(self, entries: Sequence[bytes], checkpoint: str | None = None) -> None:
        """Put other entries in place with hashes that agree with them; the last checkpoint stays, or `checkpoint`."""
        connection = sqlite3.connect(self.database)
        connection.execute("DELETE FROM entries")
        connection.execute("DELETE FROM nodes")
        tree = CompactRange()
        for number, entry in enumerate(entries):
            connection.execute("INSERT INTO entries VALUES (?, ?)", (number, entry))
            for node, hashed in tree.add(leaf_hash(entry)):
                connection.execute("INSERT INTO nodes VALUES (?, ?, ?)", (*node, hashed))
        connection.execute("UPDATE head SET size = ?", (len(entries),))
        if checkpoint is not None:
            connection.execute("UPDATE head SET checkpoint = ?", (checkpoint,))
        connection.commit()
        connection.close()


def event(number: int, **fields: object) -> Event:
    usual = {"kind": EventKind.STAGE_STARTED, "at": "2026-01-01T00:00:00Z", "run_id": RUN, "stage": f"s{number}"}
    return Event.model_validate(usual | fields)


def signed(entries: Sequence[bytes], signer: LogSigner) -> str:
    tree = CompactRange()
    for entry in entries:
        tree.add(leaf_hash(entry))
    return sign_checkpoint(tree.size, tree.root(), signer.note_key, signer.sign).note


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    with made.open() as store:
        for number in range(COUNT):
            store.record.append([event(number)])
        store.record.checkpoint()
    return made


def test_an_honest_record_verifies(place: Place) -> None:
    report = place.verify()

    assert (report.size, report.runs, report.complete, report.notes) == (COUNT, 1, True, ())
    assert report.rollback_detectable
    assert [(one.size, one.outside) for one in report.checkpoints] == [(COUNT, True)]


def test_a_record_that_grew_since_its_checkpoint_was_kept_verifies(place: Place) -> None:
    with place.open() as store:
        store.record.append([event(99)])

    assert place.verify().size == COUNT + 1


def test_verifying_writes_nothing(place: Place) -> None:
    before = {path: path.stat().st_mtime_ns for path in place.store.rglob("*") if path.is_file()}

    place.verify()

    after = {path: path.stat().st_mtime_ns for path in place.store.rglob("*") if path.suffix == ".sqlite"}
    assert after.items() <= before.items()


def test_without_a_key_nothing_is_verified(place: Place) -> None:
    with pytest.raises(UsageError, match="without the log's public key"):
        place.verify(keys=())


def test_another_key_does_not_verify_the_record(place: Place) -> None:
    with pytest.raises(RecordError, match="not signed by the log"):
        place.verify(keys=(STRANGER.note_key,))


def test_an_edited_entry_is_found(place: Place) -> None:
    place.change(f"UPDATE entries SET content = x'{render_entry(event(77)).hex()}' WHERE number = 3")

    with pytest.raises(RecordError, match="not the one that was recorded") as raised:
        place.verify()
    assert raised.value.where == "record entry 3"


def test_reordered_entries_are_found(place: Place) -> None:
    entries = place.entries()
    place.change(
        f"UPDATE entries SET content = x'{entries[4].hex()}' WHERE number = 3",
        f"UPDATE entries SET content = x'{entries[3].hex()}' WHERE number = 4",
    )

    with pytest.raises(RecordError, match="not the one that was recorded"):
        place.verify()


def test_a_missing_entry_is_found(place: Place) -> None:
    place.change("DELETE FROM entries WHERE number = 3")

    with pytest.raises(RecordError, match="entry 3 is missing"):
        place.verify()


@pytest.mark.parametrize("statement", ["DELETE FROM nodes WHERE level = 2", "UPDATE nodes SET hash = zeroblob(32)"])
def test_changed_hashes_are_found(place: Place, statement: str) -> None:
    place.change(statement)

    with pytest.raises(RecordError):
        place.verify()


@pytest.mark.parametrize("edit", ["edited", "reordered", "cut", "cut at the front", "forged tail"])
def test_a_history_rewritten_with_all_its_hashes_is_found(place: Place, edit: str) -> None:
    entries = place.entries()
    forged = render_entry(event(77))
    place.rewrite(
        {
            "edited": [*entries[:3], forged, *entries[4:]],
            "reordered": [*entries[:3], entries[4], entries[3], *entries[5:]],
            "cut": entries[:-1],
            "cut at the front": entries[1:],
            "forged tail": [*entries, forged],
        }[edit]
    )

    with pytest.raises(RecordError):
        place.verify()


def test_a_history_rewritten_and_signed_by_a_stranger_is_found(place: Place) -> None:
    entries = [*place.entries(), render_entry(event(77))]
    place.rewrite(entries, signed(entries, STRANGER))

    with pytest.raises(RecordError, match="not signed by the log"):
        place.verify()


def test_a_fork_signed_with_the_stolen_log_key_contradicts_a_kept_checkpoint(place: Place) -> None:
    entries = [*place.entries()[:3], *(render_entry(event(number)) for number in range(50, 70))]
    place.rewrite(entries, signed(entries, OPERATOR))

    with pytest.raises(RecordError, match="was rewritten") as raised:
        place.verify()
    assert str(place.state) in raised.value.where


def test_a_store_put_back_to_yesterday_is_found(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.store, tmp_path / "yesterday")
    with place.open() as store:
        store.record.append([event(50)])
        store.record.checkpoint()
    shutil.rmtree(place.store)
    (tmp_path / "yesterday").rename(place.store)

    with pytest.raises(RecordError, match="an old copy was put back"):
        place.verify()


def test_without_a_checkpoint_outside_a_rollback_does_not_show_and_the_report_says_so(
    place: Place, tmp_path: Path
) -> None:
    entries = place.entries()[:5]
    place.rewrite(entries, signed(entries, OPERATOR))
    shutil.rmtree(place.state)

    report = place.verify()

    assert not report.rollback_detectable
    assert ROLLBACK_NOT_DETECTABLE in report.notes


def test_a_checkpoint_somebody_kept_shows_what_the_store_hides(place: Place) -> None:
    note = signed(place.entries(), OPERATOR)
    shutil.rmtree(place.state)
    assert place.verify(mine=note).rollback_detectable
    entries = place.entries()[:5]
    place.rewrite(entries, signed(entries, OPERATOR))

    with pytest.raises(RecordError, match="had 11"):
        place.verify(mine=note)


def test_an_emptied_record_contradicts_the_kept_checkpoint(place: Place) -> None:
    place.change("DELETE FROM entries", "DELETE FROM nodes", "UPDATE head SET size = 0, checkpoint = NULL")

    with pytest.raises(RecordError, match="the record has 0 entries, but had 11"):
        place.verify()


def test_entries_without_a_checkpoint_are_refused(place: Place) -> None:
    place.change("UPDATE head SET checkpoint = NULL")

    with pytest.raises(RecordError, match="nobody signed"):
        place.verify()


def test_a_size_that_is_not_the_number_of_entries_is_found(place: Place) -> None:
    place.change("UPDATE head SET size = 5")

    with pytest.raises(RecordError, match="holds 11 entries and says 5"):
        place.verify()


def test_an_entry_that_is_no_event_is_refused(place: Place) -> None:
    entries = [*place.entries(), b'{"kind":"nonsense"}']
    place.rewrite(entries, signed(entries, OPERATOR))

    with pytest.raises(RecordError, match="not an event"):
        place.verify()


def test_a_state_folder_in_the_store_is_refused(place: Place) -> None:
    with pytest.raises(SettingsError, match="lie in each other"):
        verify_record(place.store, place.store / "state", [OPERATOR.note_key])


def test_a_kept_checkpoint_of_another_log_is_said(place: Place) -> None:
    (place.state / "checkpoints" / STRANGER.key_sha256).write_text(signed([b"x"], STRANGER))

    assert any(STRANGER.key_sha256 in note for note in place.verify().notes)


def test_missing_and_damaged_evidence_is_reported(place: Place) -> None:
    with place.open() as store:
        good, bad = store.content.put(b"good"), store.content.put(b"bad")
        gone = sha256_hex(b"gone")
        store.record.append([event(50, evidence=(good, bad)), event(51, evidence=(gone, bad))])
        store.content.path(bad).chmod(0o600)
        store.content.path(bad).write_bytes(b"BAD")

    report = place.verify()

    assert not report.complete
    assert report.evidence == 3
    assert {(one.sha256, one.entry, one.problem) for one in report.evidence_problems} == {
        (bad, COUNT, "damaged"),
        (gone, COUNT + 1, "missing"),
    }


def manifest_bundle(note: str) -> bytes:
    statement = {"_type": "x", "predicate": {"policyd": "manifest/v1", "checkpoint": note}}
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps({"dsseEnvelope": {"payload": payload, "signatures": []}}).encode()


def record_manifest(place: Place, note: str) -> None:
    with place.open() as store:
        sha256 = store.content.put(manifest_bundle(note))
        store.record.append([event(50, kind=EventKind.MANIFEST, stage=None, evidence=(sha256,))])


def test_the_checkpoints_in_manifests_are_compared(place: Place) -> None:
    record_manifest(place, signed(place.entries()[:7], OPERATOR))

    report = place.verify()

    assert (7, False) in {(one.size, one.outside) for one in report.checkpoints}


def test_a_manifest_of_another_history_contradicts_the_record(place: Place) -> None:
    record_manifest(place, signed([b"other"] * 7, OPERATOR))

    with pytest.raises(RecordError, match="was rewritten"):
        place.verify()


def test_a_checkpoint_in_the_store_is_not_one_outside(place: Place) -> None:
    record_manifest(place, signed(place.entries()[:7], OPERATOR))
    shutil.rmtree(place.state)

    assert not place.verify().rollback_detectable


def test_a_manifest_signed_for_another_log_is_said_and_not_counted(place: Place) -> None:
    record_manifest(place, signed([b"other"] * 7, STRANGER))

    report = place.verify()

    assert len(report.checkpoints) == 1
    assert any("not compared" in note for note in report.notes)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"dsseEnvelope":{"payload":"!"}}', b"\xff", b"[1]"])
def test_a_manifest_that_can_not_be_read_does_not_stop_verification(place: Place, content: bytes) -> None:
    with place.open() as store:
        sha256 = store.content.put(content)
        store.record.append([event(50, kind=EventKind.MANIFEST, stage=None, evidence=(sha256,))])

    assert place.verify().size == COUNT + 1


def test_rows_removed_from_the_index_are_said(place: Place) -> None:
    place.change("DELETE FROM runs")

    assert any("index of runs differs" in note for note in place.verify().notes)


def test_runs_are_listed_and_shown(place: Place) -> None:
    other = "cd" * 16
    with place.open() as store:
        store.record.append([event(0, kind=EventKind.RUN_STARTED, run_id=other, stage=None, pipeline="demo")])

    latest, first = list_runs(place.store, place.state)
    view = show_run(place.store, place.state, "abab")

    assert (latest.run_id, latest.pipeline, latest.state) == (other, "demo", "unfinished")
    assert first == view.run
    assert [stage.name for stage in view.stages] == [f"s{number}" for number in range(COUNT)]
    assert [logged.number for logged in view.events] == list(range(COUNT))
    assert len(list_runs(place.store, place.state, limit=1)) == 1


def test_runs_left_by_a_killed_policyd_are_marked(place: Place) -> None:
    with place.open() as store:
        store.record.append([event(0, kind=EventKind.RUN_STARTED, stage=None)])

        (run,) = mark_interrupted_runs(store, at="2026-01-01T00:00:01Z")

        assert run.run_id == RUN
        assert mark_interrupted_runs(store, at="2026-01-01T00:00:02Z") == ()
    assert show_run(place.store, place.state, RUN).run.state == "interrupted"
    assert place.verify().complete


def test_what_is_exported_is_verified_first(place: Place, tmp_path: Path) -> None:
    exported = export_tiles(place.store, place.state, [OPERATOR.note_key], tmp_path / "log")
    assert (exported.size, exported.files) == (COUNT, 3)

    place.change(f"UPDATE entries SET content = x'{render_entry(event(77)).hex()}' WHERE number = 3")
    with pytest.raises(RecordError):
        export_tiles(place.store, place.state, [OPERATOR.note_key], tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_store_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no store here"):
        list_runs(tmp_path / "store", tmp_path / "state")


def test_a_record_that_is_no_database_is_said(place: Place) -> None:
    place.database.write_bytes(b"nonsense" * 1000)

    with pytest.raises(StoreError, match="damaged"):
        place.verify()
