from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from policyd.adapters.stores.sqlite_record import SqliteRecord, open_record
from policyd.adapters.stores.store import Store, open_store
from policyd.attestation.signing import Signer
from policyd.errors import KeyUnusable, RecordError, StoreError, UsageError
from policyd.models.records import Event, EventKind
from policyd.record.checkpoint import log_key, verify_checkpoint
from policyd.record.entries import render_entry
from policyd.record.merkle import leaf_hash, verify_inclusion
from policyd.record.runs import RunIndex
from policyd.record.verify import verify_log

MakeEvent = Callable[..., Event]

#: Another policyd: appends `sys.argv[3]` entries (for ever if 0) and prints the number of each when it is recorded.
WRITER = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from policyd.adapters.stores.store import open_store
from policyd.models.canonical import sha256_hex
from policyd.models.records import Event, EventKind

class Signer:
    key = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    public_key_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key_sha256 = sha256_hex(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    sign = key.sign

store = open_store(Path(sys.argv[1]), Path(sys.argv[2]), Signer())
left = int(sys.argv[3]) or -1
while left:
    left -= 1
    events = [Event(kind=EventKind.DECISION, at="2026-01-01T00:00:00Z", run_id="f" * 32)] * 3
    print(store.record.append(events).first_index, flush=True)
    if left % 7 == 0:
        store.record.checkpoint()
"""


def start_writer(root: Path, count: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", WRITER, str(root / "store"), str(root / "state"), str(count)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def database(root: Path) -> Path:
    return root / "store" / "record" / "record.sqlite"


def change(root: Path, *statements: str) -> None:
    connection = sqlite3.connect(database(root))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def size_of_verified(record: SqliteRecord, signer: Signer) -> int:
    with record.snapshot() as stored:
        verify_log(stored, [], [log_key(signer.public_key_pem)], lambda event: ())
        return stored.head().size


def test_what_was_appended_is_there_after_opening_again(store: Store, event: MakeEvent, tmp_path: Path) -> None:
    receipt = store.record.append([event(1), event(2)])
    again = store.record.append([event(3)])

    assert (receipt.first_index, receipt.size) == (0, 2)
    assert (again.first_index, again.size) == (2, 3)
    reader = open_record(database(tmp_path))
    with reader.snapshot() as stored:
        assert [entry for _, entry in stored.entries()] == [render_entry(event(number)) for number in (1, 2, 3)]
    reader.close()


def test_every_append_is_signed(store: Store, event: MakeEvent, signer: Signer) -> None:
    for number in range(20):
        store.record.append([event(number)])
        with store.record.snapshot() as stored:
            head = stored.head()
        assert verify_checkpoint(head.note or "", [log_key(signer.public_key_pem)]).size == number + 1


def test_every_entry_can_be_proved(store: Store, event: MakeEvent, signer: Signer) -> None:
    store.record.append([event(number) for number in range(11)])

    for index in range(11):
        proof = store.record.prove_inclusion(index)
        checkpoint = verify_checkpoint(proof.note, [log_key(signer.public_key_pem)])
        leaf = leaf_hash(render_entry(event(index)))
        verify_inclusion(index, checkpoint.size, leaf, proof.hashes, checkpoint.root)
    with pytest.raises(UsageError, match="no entry 11"):
        store.record.prove_inclusion(11)


def test_a_checkpoint_is_kept_outside_the_store(store: Store, event: MakeEvent, signer: Signer) -> None:
    store.record.append([event()])

    note = store.record.checkpoint()

    kept = store.state.find(signer.key_sha256)
    assert kept is not None
    assert kept.note == note == store.record.checkpoint()


def test_an_empty_record_has_no_checkpoint(store: Store) -> None:
    with pytest.raises(RecordError, match="is empty"):
        store.record.checkpoint()


def test_nothing_is_not_an_event(store: Store) -> None:
    with pytest.raises(StoreError, match="nothing was given"):
        store.record.append([])


def test_events_are_recorded_all_or_none(store: Store, event: MakeEvent) -> None:
    with pytest.raises(StoreError, match="does not fit"):
        store.record.append([event(1), event(2, detail="x" * 70_000)])

    with store.record.snapshot() as stored:
        assert stored.head().size == 0


def test_a_reader_can_not_append(store: Store, event: MakeEvent, tmp_path: Path) -> None:
    with open_store(tmp_path / "store", tmp_path / "state") as reader:
        with pytest.raises(UsageError, match="reading only"):
            reader.record.append([event()])
        with pytest.raises(UsageError, match="reading only"):
            reader.record.checkpoint()


def test_a_log_is_signed_with_ed25519_only(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    class EcdsaSigner:
        key_sha256 = "0" * 64
        public_key_pem = (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

        def sign(self, message: bytes) -> bytes:
            raise AssertionError

    with pytest.raises(KeyUnusable, match="not an Ed25519 key"):
        open_store(tmp_path / "store", tmp_path / "state", EcdsaSigner())


def test_threads_take_turns(store: Store, event: MakeEvent, signer: Signer) -> None:
    threads = [
        threading.Thread(target=lambda: [store.record.append([event(number)]) for number in range(10)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert size_of_verified(store.record, signer) == 40


def test_processes_take_turns(store: Store, event: MakeEvent, signer: Signer, tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, 15) for _ in range(3)]
    for _ in range(15):
        store.record.append([event()])
        store.record.checkpoint()

    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors.decode()
    assert size_of_verified(store.record, signer) == 15 + 3 * 15 * 3
    store.record.append([event()])


def test_a_killed_writer_leaves_a_valid_record_with_all_it_was_told_of(signer: Signer, tmp_path: Path) -> None:
    """`kill -9` at a random moment, several times, over one record."""
    recorded = -1
    for _ in range(4):
        with start_writer(tmp_path, 0) as writer:
            assert writer.stdout is not None
            for _ in range(random.randrange(1, 40)):
                recorded = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split()
            # The pipe may end in the middle of a number: only whole lines were said.
            recorded = max([recorded, *(int(line) for line in rest[:-1])])

        with open_store(tmp_path / "store", tmp_path / "state", signer) as store:
            size = size_of_verified(store.record, signer)
            assert size >= recorded + 3
            assert size % 3 == 0
            with store.record.snapshot() as stored:
                index = RunIndex()
                for number, _ in stored.entries():
                    index.apply(stored.event(number))
            assert not store.record.index_differs(index)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


@pytest.mark.root
def test_a_full_disk_refuses_the_entry_and_leaves_the_record_whole(
    mount: Callable[[str], Path], event: MakeEvent, signer: Signer
) -> None:
    disk = mount("size=2m")
    with open_store(disk / "store", disk / "state", signer) as store:
        store.record.append([event(1)])
        fill(disk / "filler")

        recorded = 1
        refusal: StoreError | None = None
        while refusal is None and recorded < 500:
            try:
                store.record.append([event(2, detail="x" * 50_000)])
                recorded += 1
            except StoreError as error:
                refusal = error
        assert refusal is not None
        assert "disk is full" in refusal.cause
        (disk / "filler").unlink()
        assert size_of_verified(store.record, signer) == recorded

        store.record.append([event(3)])
        assert size_of_verified(store.record, signer) == recorded + 1


def test_a_history_that_was_changed_is_not_signed(
    store: Store, event: MakeEvent, signer: Signer, tmp_path: Path
) -> None:
    """Entry and hashes agree with each other, only the key was missing: policyd must not lend its own."""
    store.record.append([event(1), event(2)])
    store.close()
    forged = leaf_hash(render_entry(event(9)))
    change(
        tmp_path,
        f"UPDATE entries SET content = x'{render_entry(event(9)).hex()}' WHERE number = 1",
        f"UPDATE nodes SET hash = x'{forged.hex()}' WHERE level = 0 AND number = 1",
        f"UPDATE nodes SET hash = x'{bytes(32).hex()}' WHERE level = 1 AND number = 0",
    )

    with pytest.raises(RecordError, match="not the one that its checkpoint signs"):
        open_store(tmp_path / "store", tmp_path / "state", signer)


def test_a_store_put_back_to_yesterday_is_refused_when_it_is_opened(
    store: Store, event: MakeEvent, signer: Signer, tmp_path: Path
) -> None:
    store.record.append([event(1)])
    store.close()
    yesterday = database(tmp_path).read_bytes()
    with open_store(tmp_path / "store", tmp_path / "state", signer) as later:
        later.record.append([event(2)])
        later.record.checkpoint()
    database(tmp_path).write_bytes(yesterday)

    with pytest.raises(RecordError, match="old copy"):
        open_store(tmp_path / "store", tmp_path / "state", signer)


def test_a_new_store_in_the_place_of_the_old_one_is_refused(
    store: Store, event: MakeEvent, signer: Signer, tmp_path: Path
) -> None:
    store.record.append([event(1)])
    store.record.checkpoint()
    store.close()
    (tmp_path / "store").rename(tmp_path / "away")

    with pytest.raises(RecordError, match="lost its checkpoint or its entries"):
        open_store(tmp_path / "store", tmp_path / "state", signer)


def test_a_record_put_back_while_it_is_open_is_refused(store: Store, event: MakeEvent, tmp_path: Path) -> None:
    store.record.append([event(1)])
    with store.record.snapshot() as stored:
        older = stored.head().note
    store.record.append([event(2)])
    change(
        tmp_path,
        "DELETE FROM entries WHERE number = 1",
        "DELETE FROM nodes WHERE (level, number) IN (VALUES (0, 1), (1, 0))",
        f"UPDATE head SET size = 1, checkpoint = '{older}'",
    )

    with pytest.raises(RecordError, match="old copy"):
        store.record.append([event(3)])


def test_a_kept_checkpoint_that_can_not_be_used_stops_writing(
    store: Store, event: MakeEvent, signer: Signer, other_signer: Signer, tmp_path: Path
) -> None:
    """Else emptying one file outside the store would hide a rollback."""
    store.record.append([event(1)])
    store.record.checkpoint()
    (tmp_path / "state" / "checkpoints" / signer.key_sha256).write_text("")

    with pytest.raises(RecordError, match="can't be used"):
        open_store(tmp_path / "store", tmp_path / "state", signer)


def test_the_index_comes_back_from_the_log(store: Store, event: MakeEvent, signer: Signer, tmp_path: Path) -> None:
    store.record.append([event(1, kind=EventKind.RUN_STARTED, stage=None, pipeline="demo"), event(1), event(2)])
    before = (store.record.list_runs(), store.record.require_run(f"{1:032x}"))
    store.close()
    change(tmp_path, "DELETE FROM runs", "DELETE FROM stages", "DELETE FROM run_entries", "UPDATE head SET indexed = 0")

    with (
        open_store(tmp_path / "store", tmp_path / "state") as reader,
        pytest.raises(StoreError, match="does not cover the record"),
    ):
        reader.record.list_runs()
    with open_store(tmp_path / "store", tmp_path / "state", signer) as store:
        assert (store.record.list_runs(), store.record.require_run(f"{1:032x}")) == before


def test_an_index_that_was_changed_shows(store: Store, event: MakeEvent, tmp_path: Path) -> None:
    store.record.append([event(1), event(2)])
    expected = RunIndex()
    for number in (1, 2):
        expected.apply(event(number))
    assert not store.record.index_differs(expected)

    change(tmp_path, f"DELETE FROM runs WHERE run_id = '{1:032x}'")

    assert store.record.index_differs(expected)
    store.record.rebuild_index()
    assert not store.record.index_differs(expected)


def test_runs_are_found_by_the_start_of_their_id(store: Store, event: MakeEvent) -> None:
    store.record.append([event(run_id="abcd" + "0" * 28), event(run_id="abcd" + "1" * 28)])

    assert store.record.require_run("abcd0").run.run_id == "abcd" + "0" * 28
    for name, cause in (("abcd", "more than one"), ("beef", "no run starts"), ("abc", "too short"), ("%%%%", "no run")):
        with pytest.raises(UsageError, match=cause):
            store.record.require_run(name)
