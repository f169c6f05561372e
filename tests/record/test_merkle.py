"""Roots and proofs. Vectors: transparency-dev/merkle v0.0.2 `rfc6962/rfc6962_test.go` and `proof/verify_test.go`."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.errors import RecordError
from policyd.record.merkle import (
    EMPTY_ROOT,
    CompactRange,
    NodeId,
    Proof,
    consistency_spans,
    frontier,
    inclusion_spans,
    leaf_hash,
    node_hash,
    prove,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        6,
        7,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]


class Tree:
    """Every complete subtree and every root of a tree over `entries`."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.nodes: dict[NodeId, bytes] = {}
        self.roots = [EMPTY_ROOT]
        self.leaves = [leaf_hash(entry) for entry in entries]
        tree = CompactRange()
        for leaf in self.leaves:
            self.nodes.update(tree.add(leaf))
            self.roots.append(tree.root())

    def find(self, nodes: Sequence[NodeId]) -> list[bytes]:
        return [self.nodes[node] for node in nodes]

    def inclusion(self, index: int, size: int) -> Proof:
        return prove(inclusion_spans(index, size), self.find)

    def consistency(self, first: int, second: int) -> Proof:
        return prove(consistency_spans(first, second), self.find)


VECTORS = Tree(LEAVES)
LARGE = Tree([bytes([number % 256, number // 256]) for number in range(300)])
sizes = st.integers(min_value=1, max_value=300)


def test_leaves_and_nodes_hash_as_rfc_6962_says() -> None:
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


def test_an_inner_node_is_never_the_hash_of_an_entry() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")

    assert node_hash(left, right) != leaf_hash(left + right)


def test_roots_are_those_of_the_known_tree() -> None:
    assert [root.hex() for root in VECTORS.roots] == ROOTS


@pytest.mark.parametrize(("index", "size", "hashes"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_known_tree(index: int, size: int, hashes: list[str]) -> None:
    proof = VECTORS.inclusion(index, size)

    assert [one.hex() for one in proof] == hashes
    verify_inclusion(index, size, VECTORS.leaves[index], proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second", "hashes"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_known_tree(first: int, second: int, hashes: list[str]) -> None:
    proof = VECTORS.consistency(first, second)

    assert [one.hex() for one in proof] == hashes
    verify_consistency(first, second, proof, bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second]))


@given(sizes)
def test_the_frontier_holds_every_entry_once(size: int) -> None:
    covered = [entry for level, number in frontier(size) for entry in range(number << level, (number + 1) << level)]

    assert covered == list(range(size))


@given(st.data(), sizes)
def test_every_entry_of_a_tree_of_any_size_can_be_proved(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))

    verify_inclusion(index, size, LARGE.leaves[index], LARGE.inclusion(index, size), LARGE.roots[size])


@given(st.data(), sizes)
def test_a_tree_of_any_size_extends_any_earlier_one(data: st.DataObject, second: int) -> None:
    first = data.draw(st.integers(0, second))

    verify_consistency(first, second, LARGE.consistency(first, second), LARGE.roots[first], LARGE.roots[second])


@given(st.data(), st.integers(2, 300))
def test_a_changed_inclusion_proof_is_refused(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaf, root, proof = LARGE.leaves[index], LARGE.roots[size], LARGE.inclusion(index, size)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    at = data.draw(st.integers(0, len(proof) - 1))
    wrong: list[tuple[int, int, bytes, Proof, bytes]] = [
        (other, size, leaf, proof, root),
        (index, size, LARGE.leaves[other], proof, root),
        (index, size, leaf, (*proof[:at], _flip(proof[at]), *proof[at + 1 :]), root),
        (index, size, leaf, proof[:at] + proof[at + 1 :], root),
        (index, size, leaf, (*proof[:at], root, *proof[at:]), root),
        (index, size, leaf, (*proof, root), root),
        (index, size, leaf, (*proof, b""), root),
        (index, size, leaf, proof, _flip(root)),
        (index, size, b"", proof, root),
        (-1, size, leaf, proof, root),
        (size, size, leaf, proof, root),
    ]

    for case in wrong:
        with pytest.raises(RecordError):
            verify_inclusion(*case)


@given(st.data(), st.integers(2, 300))
def test_a_changed_consistency_proof_is_refused(data: st.DataObject, second: int) -> None:
    first = data.draw(st.integers(1, second - 1))
    earlier, later, proof = LARGE.roots[first], LARGE.roots[second], LARGE.consistency(first, second)
    at = data.draw(st.integers(0, len(proof) - 1))
    wrong: list[tuple[int, int, Proof, bytes, bytes]] = [
        (first, second, proof, later, earlier),
        (first, second, proof, _flip(earlier), later),
        (first, second, proof, earlier, _flip(later)),
        (first, second, (), earlier, later),
        (first, second, (*proof[:at], _flip(proof[at]), *proof[at + 1 :]), earlier, later),
        (first, second, proof[:at] + proof[at + 1 :], earlier, later),
        (first, second, (earlier, *proof), earlier, later),
        (first, second, (*proof, later), earlier, later),
        (first, second, (*proof, b""), earlier, later),
        (second, first, proof, later, earlier),
        (first - 1, second, proof, earlier, later),
    ]

    for case in wrong:
        with pytest.raises(RecordError):
            verify_consistency(*case)


def test_a_tree_never_extends_another_of_the_same_size() -> None:
    other = Tree([b"x", *LEAVES[1:]])

    with pytest.raises(RecordError):
        verify_consistency(8, 8, (), other.roots[8], VECTORS.roots[8])


def test_the_empty_tree_has_one_root() -> None:
    verify_consistency(0, 8, (), EMPTY_ROOT, VECTORS.roots[8])

    with pytest.raises(RecordError):
        verify_consistency(0, 8, (), VECTORS.roots[1], VECTORS.roots[8])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3)])
def test_what_is_not_in_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no entry"):
        inclusion_spans(index, size)


def test_a_smaller_tree_does_not_extend_a_larger_one() -> None:
    with pytest.raises(ValueError, match="does not extend"):
        consistency_spans(3, 2)


def _flip(content: bytes) -> bytes:
    return bytes([content[0] ^ 8]) + content[1:]
