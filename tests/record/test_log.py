from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policyd.errors import RecordError
from policyd.record.checkpoint import VerifiedCheckpoint, sign_checkpoint
from policyd.record.log import Log, StoredHead
from policyd.record.merkle import CompactRange, NodeId, leaf_hash
from policyd.record.note import NoteKey

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
KEY = NoteKey("log", PRIVATE.public_key().public_bytes_raw())
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)


class MemoryStorage:
    """A `LogStorage` in memory."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.nodes: dict[NodeId, bytes] = {}
        self.note: str | None = None

    def hashes(self, nodes: Sequence[NodeId]) -> Sequence[bytes]:
        return [self.nodes[node] for node in nodes]

    def add(self, first: int, entries: Sequence[bytes], nodes: Sequence[tuple[NodeId, bytes]]) -> None:
        assert first == len(self.entries)
        self.entries.extend(entries)
        self.nodes.update(nodes)

    def head(self) -> StoredHead:
        return StoredHead(len(self.entries), self.note)

    def grow(self, log: Log, *entries: bytes) -> VerifiedCheckpoint:
        """What an adapter does around one append."""
        checkpoint = log.append(entries, self.head())
        self.note = checkpoint.note
        log.remember(checkpoint)
        return checkpoint


def rewritten(entries: Sequence[bytes], note: str | None) -> MemoryStorage:
    """A storage whose hashes agree with its entries, made by somebody without the key."""
    storage, tree = MemoryStorage(), CompactRange()
    for entry in entries:
        storage.nodes.update(tree.add(leaf_hash(entry)))
    storage.entries, storage.note = list(entries), note
    return storage


def new_log(storage: MemoryStorage) -> Log:
    return Log(storage, KEY, PRIVATE.sign)


def test_every_append_signs_the_tree_it_made() -> None:
    storage = MemoryStorage()
    log = new_log(storage)

    checkpoint = storage.grow(log, b"a", b"b", b"c")

    tree = CompactRange()
    for entry in (b"a", b"b", b"c"):
        tree.add(leaf_hash(entry))
    assert (checkpoint.size, checkpoint.root) == (3, tree.root())


def test_a_log_goes_on_where_another_process_left_it() -> None:
    storage = MemoryStorage()
    first, second = new_log(storage), new_log(storage)

    storage.grow(first, b"a")
    storage.grow(second, b"b", b"c")
    checkpoint = storage.grow(first, b"d")

    assert checkpoint.size == 4


def test_a_reader_can_not_append() -> None:
    with pytest.raises(RecordError, match="for reading"):
        Log(MemoryStorage(), KEY).append([b"a"], StoredHead(0, None))


def test_a_history_rewritten_before_the_process_started_is_never_signed() -> None:
    storage = MemoryStorage()
    note = storage.grow(new_log(storage), b"a", b"b").note

    with pytest.raises(RecordError, match="not the one that its checkpoint signs"):
        new_log(rewritten([b"a", b"X"], note)).append([b"c"], StoredHead(2, note))


def test_a_tail_that_nobody_signed_is_never_signed() -> None:
    storage = MemoryStorage()
    note = storage.grow(new_log(storage), b"a", b"b").note

    with pytest.raises(RecordError, match="does not end where"):
        new_log(rewritten([b"a", b"b", b"forged"], note)).append([b"c"], StoredHead(3, note))


def test_a_checkpoint_by_another_key_is_refused() -> None:
    storage = rewritten([b"forged"], None)
    stranger = sign_checkpoint(1, leaf_hash(b"forged"), KEY, OTHER.sign)

    with pytest.raises(RecordError, match="not the log key's"):
        new_log(storage).append([b"a"], StoredHead(1, stranger.note))


def test_entries_without_any_checkpoint_are_refused() -> None:
    with pytest.raises(RecordError, match="lost its checkpoint"):
        new_log(rewritten([b"a"], None)).append([b"b"], StoredHead(1, None))


def test_a_log_that_was_emptied_while_in_use_is_refused() -> None:
    storage = MemoryStorage()
    log = new_log(storage)
    storage.grow(log, b"a")

    with pytest.raises(RecordError, match="lost its checkpoint"):
        log.append([b"b"], StoredHead(0, None))


def test_a_log_put_back_to_an_older_state_while_in_use_is_refused() -> None:
    storage = MemoryStorage()
    log = new_log(storage)
    older = storage.grow(log, b"a").note
    storage.grow(log, b"b")

    with pytest.raises(RecordError, match="old copy"):
        log.append([b"c"], StoredHead(1, older))


def test_a_fork_signed_with_the_stolen_key_contradicts_what_was_seen() -> None:
    storage = MemoryStorage()
    log = new_log(storage)
    storage.grow(log, b"a", b"b")
    fork = rewritten([b"a", b"X", b"c"], None)
    tree = CompactRange(3, list(fork.hashes([(1, 0), (0, 2)])))
    storage.nodes, storage.note = fork.nodes, sign_checkpoint(3, tree.root(), KEY, PRIVATE.sign).note

    with pytest.raises(RecordError, match="not those that were signed before"):
        log.append([b"d"], StoredHead(3, storage.note))


# --- a log that had another key before ---


def _rotated(storage: MemoryStorage) -> Log:
    return Log(storage, KEY_OF_OTHER, OTHER.sign, earlier=[KEY])


KEY_OF_OTHER = NoteKey("log-2", OTHER.public_key().public_bytes_raw())


def test_a_log_goes_on_under_a_new_key() -> None:
    storage = MemoryStorage()
    before = storage.grow(new_log(storage), b"one", b"two")

    rotated = _rotated(storage)
    rotated.remember(before)
    after = storage.grow(rotated, b"three")

    assert (before.checkpoint.origin, after.checkpoint.origin) == (KEY.name, KEY_OF_OTHER.name)
    assert after.size == 3
    assert rotated.verify_head(storage.head()) is after


def test_a_key_that_is_not_known_to_have_signed_a_log_does_not_take_it_over() -> None:
    storage = MemoryStorage()
    storage.grow(new_log(storage), b"one")

    with pytest.raises(RecordError, match="not the log key's"):
        Log(storage, KEY_OF_OTHER, OTHER.sign).verify_head(storage.head())


def test_a_checkpoint_of_the_key_before_still_shows_a_rollback() -> None:
    storage = MemoryStorage()
    log = new_log(storage)
    storage.grow(log, b"one")
    old = rewritten(storage.entries, storage.note)
    kept = storage.grow(log, b"two")

    rotated = _rotated(old)
    rotated.remember(kept)

    with pytest.raises(RecordError, match="old copy"):
        rotated.verify_head(old.head())
