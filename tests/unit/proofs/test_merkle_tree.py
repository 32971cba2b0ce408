"""The tree against published vectors, the example of RFC 9162 and a tree built from the definitions alone."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_proofs import (
    EMPTY_ROOT,
    InvalidProof,
    MemoryHashStore,
    MerkleTree,
    Node,
    hash_children,
    hash_leaf,
    verify_consistency,
    verify_inclusion,
)
from modelog_proofs.merkle import Frontier

# Inputs and roots of the certificate-transparency reference tests (github.com/transparency-dev/merkle, testonly).
LEAVES = [
    bytes.fromhex(text)
    for text in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
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


# The definitions of RFC 9162 section 2.1, word for word: MTH, PATH and SUBPROOF over a list of leaf hashes.
def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(d: Sequence[bytes]) -> bytes:
    if not d:
        return hashlib.sha256().digest()
    if len(d) == 1:
        return d[0]
    k = split(len(d))
    return hash_children(mth(d[:k]), mth(d[k:]))


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = split(len(d))
    return [*path(m, d[:k]), mth(d[k:])] if m < k else [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: Sequence[bytes], b: bool) -> list[bytes]:
    if m == len(d):
        return [] if b else [mth(d)]
    k = split(len(d))
    return [*subproof(m, d[:k], b), mth(d[k:])] if m <= k else [*subproof(m - k, d[k:], False), mth(d[:k])]


def hashes(size: int) -> list[bytes]:
    return [hash_leaf(b"%d" % i) for i in range(size)]


def tree_of(leaf_hashes: Sequence[bytes]) -> MerkleTree:
    tree = MerkleTree(MemoryHashStore())
    tree.extend(leaf_hashes)
    return tree


def test_hashes_match_the_published_ones() -> None:
    assert hash_leaf(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert hash_leaf(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    node = hash_children(b"N123", b"N456")
    assert node.hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


def test_roots_match_the_published_ones_at_every_size() -> None:
    tree = MerkleTree(MemoryHashStore())
    for i, leaf in enumerate(LEAVES):
        assert tree.append(hash_leaf(leaf)) == i
    assert [tree.root(size).hex() for size in range(9)] == ROOTS
    assert tree.root(0) == EMPTY_ROOT


def test_proofs_of_the_example_in_rfc_9162_section_2_1_5() -> None:
    a, b, c, d, e, f, j = leaf_hashes = hashes(7)
    g, h, i = hash_children(a, b), hash_children(c, d), hash_children(e, f)
    k = hash_children(g, h)
    right = hash_children(i, j)
    tree = tree_of(leaf_hashes)
    assert tree.inclusion_proof(0, 7) == [b, h, right]
    assert tree.inclusion_proof(3, 7) == [c, g, right]
    assert tree.inclusion_proof(4, 7) == [f, j, k]
    assert tree.inclusion_proof(6, 7) == [i, k]
    assert tree.consistency_proof(3, 7) == [c, d, g, right]
    assert tree.consistency_proof(4, 7) == [right]
    assert tree.consistency_proof(6, 7) == [i, j, k]


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.integers(0, n))))
def test_any_root_and_proof_equals_the_definition_and_verifies(sizes: tuple[int, int, int]) -> None:
    size, index, old = sizes
    leaf_hashes = hashes(size)
    tree = tree_of([*leaf_hashes, *hashes(17)])
    root = mth(leaf_hashes)
    assert tree.root(size) == root
    inclusion = tree.inclusion_proof(index, size)
    assert inclusion == path(index, leaf_hashes)
    verify_inclusion(leaf_hashes[index], index, size, inclusion, root)
    consistency = tree.consistency_proof(old, size)
    assert consistency == (subproof(old, leaf_hashes, True) if old else [])
    verify_consistency(old, mth(leaf_hashes[:old]), size, root, consistency)


@given(st.integers(2, 70), st.data())
def test_no_altered_inclusion_proof_verifies(size: int, data: st.DataObject) -> None:
    leaf_hashes = hashes(size)
    root, index = mth(leaf_hashes), data.draw(st.integers(0, size - 1))
    proof = path(index, leaf_hashes)
    for altered in altered_paths(proof):
        with pytest.raises(InvalidProof):
            verify_inclusion(leaf_hashes[index], index, size, altered, root)
    with pytest.raises(InvalidProof):
        verify_inclusion(leaf_hashes[index ^ 1 if index ^ 1 < size else index - 1], index, size, proof, root)
    with pytest.raises(InvalidProof):
        verify_inclusion(leaf_hashes[index], index, size, proof, hash_leaf(b"another root"))


@given(st.integers(2, 70), st.data())
def test_no_altered_consistency_proof_verifies(size: int, data: st.DataObject) -> None:
    leaf_hashes = hashes(size)
    old = data.draw(st.integers(1, size - 1))
    old_root, root = mth(leaf_hashes[:old]), mth(leaf_hashes)
    proof = subproof(old, leaf_hashes, True)
    for altered in altered_paths(proof):
        with pytest.raises(InvalidProof):
            verify_consistency(old, old_root, size, root, altered)
    with pytest.raises(InvalidProof):
        verify_consistency(old, hash_leaf(b"another root"), size, root, proof)
    with pytest.raises(InvalidProof):
        verify_consistency(old, old_root, size, hash_leaf(b"another root"), proof)


def altered_paths(proof: list[bytes]) -> list[list[bytes]]:
    flipped = [[*proof[:i], bytes([h[0] ^ 1]) + h[1:], *proof[i + 1 :]] for i, h in enumerate(proof)]
    return [*flipped, proof[:-1], proof[1:], [*proof, EMPTY_ROOT], [*proof, EMPTY_ROOT, EMPTY_ROOT]]


def test_a_fork_has_no_consistency_proof() -> None:
    signed = hashes(40)
    rewritten = [*signed[:19], hash_leaf(b"another event"), *signed[20:], *hashes(9)]
    fork = tree_of(rewritten)
    with pytest.raises(InvalidProof, match="does not lead to the old root at 40 leaves: the log was forked"):
        verify_consistency(40, mth(signed), 49, fork.root(49), fork.consistency_proof(40, 49))
    with pytest.raises(InvalidProof, match="The two roots at 40 leaves differ: these are two different logs"):
        verify_consistency(40, mth(signed), 40, fork.root(40), [])
    verify_consistency(19, mth(signed[:19]), 49, fork.root(49), fork.consistency_proof(19, 49))


@pytest.mark.parametrize(
    ("old", "new", "proof", "sentence"),
    [
        (3, 2, [], "A tree of 2 leaves cannot begin with a tree of 3"),
        (-1, 2, [], "cannot begin with a tree of -1"),
        (2, 2, [EMPTY_ROOT], "must be empty, it has 1 hashes"),
        (0, 2, [EMPTY_ROOT], "must be empty, it has 1 hashes"),
        (2, 4, [], "from 2 to 4 leaves is empty"),
        (2, 4, [b"short"], r"path\[0\] must be 32 bytes"),
    ],
)
def test_impossible_consistency_proofs_are_refused(old: int, new: int, proof: list[bytes], sentence: str) -> None:
    with pytest.raises(InvalidProof, match=sentence):
        verify_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, proof)


def test_an_empty_log_begins_every_log_but_has_one_root_only() -> None:
    verify_consistency(0, EMPTY_ROOT, 5, mth(hashes(5)), [])
    with pytest.raises(InvalidProof, match="The two roots at 0 leaves differ"):
        verify_consistency(0, hash_leaf(b""), 5, mth(hashes(5)), [])


@pytest.mark.parametrize("index", [-1, 5])
def test_an_index_outside_the_tree_is_refused(index: int) -> None:
    with pytest.raises(InvalidProof, match=f"Leaf index {index} is not in a tree of 5 leaves"):
        verify_inclusion(EMPTY_ROOT, index, 5, [], EMPTY_ROOT)


def test_append_and_proof_touch_a_logarithm_of_hashes() -> None:
    store = CountingStore()
    tree = MerkleTree(store)
    tree.extend(hashes(1023))
    for action in (
        lambda: tree.append(hash_leaf(b"last")),
        lambda: tree.inclusion_proof(512, 1023),
        lambda: tree.consistency_proof(511, 1023),
        lambda: tree.root(1023),
    ):
        store.touched = 0
        action()
        assert 0 < store.touched <= 22
    assert len(store.hashes) == 2047


class CountingStore(MemoryHashStore):
    """Counts the hashes that are read and written."""

    def __init__(self) -> None:
        super().__init__()
        self.touched = 0

    def read(self, nodes: Sequence[Node]) -> Sequence[bytes]:
        self.touched += len(nodes)
        return super().read(nodes)

    def write(self, hashes: Sequence[tuple[Node, bytes]]) -> None:
        self.touched += len(hashes)
        super().write(hashes)


def test_a_tree_goes_on_from_its_store_and_its_size() -> None:
    store, leaf_hashes = MemoryHashStore(), hashes(50)
    assert MerkleTree(store).extend(leaf_hashes[:21]) == 21
    again = MerkleTree(store, 21)
    assert again.extend(leaf_hashes[21:]) == again.size == 50
    assert again.root(50) == mth(leaf_hashes)


def test_a_batch_that_was_rolled_back_can_be_written_again() -> None:
    store, leaf_hashes = MemoryHashStore(), hashes(33)
    MerkleTree(store).extend(leaf_hashes[:30])
    tree = MerkleTree(store, 20)
    tree.extend(leaf_hashes[20:])
    assert tree.root(33) == mth(leaf_hashes)


def test_wrong_arguments_name_the_argument_and_what_is_allowed() -> None:
    tree = tree_of(hashes(5))
    with pytest.raises(ValueError, match="size must be from 0 to 5, the size of the tree; got 6"):
        tree.root(6)
    with pytest.raises(ValueError, match="index must be from 0 to 3, got 4"):
        tree.inclusion_proof(4, 4)
    with pytest.raises(ValueError, match="old must be from 0 to 4, got 5"):
        tree.consistency_proof(5, 4)
    with pytest.raises(ValueError, match="leaf_hash must be 32 bytes, got b'x'"):
        tree.append(b"x")
    with pytest.raises(ValueError, match="size must not be negative, got -1"):
        MerkleTree(MemoryHashStore(), -1)
    with pytest.raises(ValueError, match="a tree of 5 leaves has 2 complete subtrees, not 0"):
        Frontier(5)
    with pytest.raises(KeyError):
        MerkleTree(MemoryHashStore(), 3).root(3)
    assert tree.size == 5


@given(st.integers(0, 70), st.integers(0, 70))
def test_leaves_that_come_together_are_those_that_come_one_by_one(before: int, count: int) -> None:
    leaves = [hash_leaf(b"%d" % n) for n in range(before + count)]
    one_by_one, together = Frontier(), Frontier()
    for leaf in leaves:
        one_by_one.append(leaf)
    together.extend(leaves[:before])
    together.extend(leaves[before:])
    assert (together.size, together.root()) == (one_by_one.size, one_by_one.root())
    # And it goes on from there.
    assert together.append(leaves[0] if leaves else EMPTY_ROOT) == one_by_one.append(
        leaves[0] if leaves else EMPTY_ROOT
    )
    assert together.root() == one_by_one.root()
    with pytest.raises(ValueError, match="leaf_hash must be 32 bytes"):
        together.extend([b"short"])
