"""The Merkle tree of RFC 6962: hashes, roots, and proofs that an entry is in it or that one tree extends another.

A complete subtree never changes again, so a tree is kept as its complete subtrees. A `NodeId` (level, number) names
the one over the entries `number * 2**level` up to, not including, `(number + 1) * 2**level`; level 0 are the leaves.
Every root and proof is made from a handful of them (`compact range`), which is why appending costs O(log n).

Sources: RFC 6962 section 2.1 (trees, proofs); RFC 9162 sections 2.1.3.2 and 2.1.4.2 (verification).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from policyd.errors import RecordError

HASH_BYTES = 32
#: MTH({}), the root of the tree without entries.
EMPTY_ROOT = hashlib.sha256(b"").digest()

NodeId = tuple[int, int]
Proof = tuple[bytes, ...]


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry. The prefix keeps leaves and inner nodes apart (second preimages)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def frontier(size: int) -> tuple[NodeId, ...]:
    """Return the complete subtrees that make up a tree of `size` entries, from left to right."""
    nodes: list[NodeId] = []
    start = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            nodes.append((level, start >> level))
            start += 1 << level
    return tuple(nodes)


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over subtrees that stand side by side, largest first, as `frontier` orders them."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


@dataclass(slots=True)
class CompactRange:
    """A tree as the hashes of `frontier(size)`: enough to append to it and to know its root."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes) -> list[tuple[NodeId, bytes]]:
        """Add the hash of the next entry; return each subtree that is complete now, the leaf first."""
        level, number, complete = 0, self.size, leaf
        nodes = [((level, number), complete)]
        while number & 1:
            complete = node_hash(self.hashes.pop(), complete)
            level, number = level + 1, number >> 1
            nodes.append(((level, number), complete))
        self.hashes.append(complete)
        self.size += 1
        return nodes

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        return fold(self.hashes)


@dataclass(frozen=True, slots=True)
class Span:
    """The entries from `start` up to, not including, `stop`, as a proof cuts them: one subtree, maybe incomplete."""

    start: int
    stop: int

    def nodes(self) -> tuple[NodeId, ...]:
        """Return the complete subtrees it consists of, from left to right."""
        return tuple((level, (self.start >> level) + number) for level, number in frontier(self.stop - self.start))


def inclusion_spans(index: int, size: int) -> tuple[Span, ...]:
    """Return what a proof of entry `index` in a tree of `size` hashes, from the leaf up (RFC 6962, PATH).

    Raises `ValueError` unless `0 <= index < size`.
    """
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of {size}")
    spans: list[Span] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            spans.append(Span(middle, stop))
            stop = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return tuple(reversed(spans))


def consistency_spans(first: int, second: int) -> tuple[Span, ...]:
    """Return what a proof hashes that a tree of `second` entries extends the one of `first` (RFC 6962, SUBPROOF).

    Empty when the sizes are equal or `first` is 0. Raises `ValueError` unless `0 <= first <= second`.
    """
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} does not extend one of {first}")
    if first in (0, second):
        return ()
    spans: list[Span] = []
    start, stop = 0, second
    while first < stop:
        middle = start + _split(stop - start)
        if first <= middle:
            spans.append(Span(middle, stop))
            stop = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    if start > 0:  # the verifier has the first tree's root, so its own subtree is sent only when it is a part of it
        spans.append(Span(start, stop))
    return tuple(reversed(spans))


def prove(spans: Sequence[Span], find: Callable[[Sequence[NodeId]], Sequence[bytes]]) -> Proof:
    """Return the hashes of `spans`. `find` returns the hashes of the nodes it is given, in their order."""
    wanted = [node for span in spans for node in span.nodes()]
    found = iter(find(wanted))
    return tuple(fold([next(found) for _ in span.nodes()]) for span in spans)


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Proof, root: bytes) -> None:
    """Verify that the entry with hash `leaf` is number `index` of the tree with `size` and `root`.

    Raises `RecordError` if it is not. Source: RFC 9162, section 2.1.3.2.
    """
    where = f"inclusion proof of entry {index} in a record of {size}"

    # 1. The sizes and the lengths of all hashes make sense.
    if not 0 <= index < size:
        raise _refusal("the entry lies outside the record", where)
    _require_hashes((leaf, root, *proof), where)

    # 2. Walk from the leaf to the root; `last` is the right edge of the tree at each level.
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise _refusal("the proof is too long", where)
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            node, last = _skip_complete(node, last)
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1

    # 3. The walk ended at the top, and at this root.
    if last != 0:
        raise _refusal("the proof is too short", where)
    if computed != root:
        raise _refusal("the proof leads to another root", where)


def verify_consistency(first: int, second: int, proof: Proof, first_root: bytes, second_root: bytes) -> None:
    """Verify that the tree (`second`, `second_root`) holds the tree (`first`, `first_root`) unchanged as its beginning.

    Raises `RecordError` if it does not. Source: RFC 9162, section 2.1.4.2.
    """
    where = f"consistency proof from a record of {first} to one of {second}"

    # 1. The sizes and the lengths of all hashes make sense.
    if not 0 <= first <= second:
        raise _refusal("the later record is smaller than the earlier one", where)
    _require_hashes((first_root, second_root, *proof), where)

    # 2. Trees that need no walk: nothing, and the same tree twice.
    if first in (0, second):
        expected = EMPTY_ROOT if first == 0 else second_root
        if proof or first_root != expected:
            raise _refusal("the two roots differ", where)
        return

    # 3. The first tree's own subtree is left out of the proof when it is the whole first tree.
    path = (first_root, *proof) if first & (first - 1) == 0 else proof
    if not path:
        raise _refusal("the proof is empty", where)

    # 4. Walk both trees up from there.
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    earlier = later = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise _refusal("the proof is too long", where)
        if node & 1 or node == last:
            earlier, later = node_hash(sibling, earlier), node_hash(sibling, later)
            node, last = _skip_complete(node, last)
        else:
            later = node_hash(later, sibling)
        node, last = node >> 1, last >> 1

    # 5. Both walks ended at the top, and at their roots.
    if last != 0:
        raise _refusal("the proof is too short", where)
    if earlier != first_root or later != second_root:
        raise _refusal("the later record does not hold the earlier one unchanged", where)


def _split(size: int) -> int:
    """Return the largest power of two below `size`, where RFC 6962 cuts a tree."""
    return 1 << ((size - 1).bit_length() - 1)


def _skip_complete(node: int, last: int) -> tuple[int, int]:
    """Go up past the levels at which `node` has no sibling."""
    while node != 0 and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _require_hashes(hashes: Iterator[bytes] | tuple[bytes, ...], where: str) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise _refusal("a hash does not have 32 bytes", where)


def _refusal(cause: str, where: str) -> RecordError:
    return RecordError(cause, where=where, fix="do not trust this record or proof; compare it with an older copy")
