"""The Merkle tree of RFC 9162 section 2.1, kept as complete-subtree hashes only.

A complete subtree of 2**level leaves never changes once it is full, so its hash can be written once and for
ever. A root or a proof of any past size is a fold over O(log n) of them, as in golang.org/x/mod/sumdb/tlog.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from .errors import InvalidProof

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


class Node(NamedTuple):
    """The complete subtree over the leaves [number << level, (number + 1) << level)."""

    level: int
    number: int


class HashStore(Protocol):
    """Where a tree keeps its complete-subtree hashes, 32 bytes each.

    Writing a node again with the same hash must be allowed: it happens when a batch is repeated.
    """

    def read(self, nodes: Sequence[Node]) -> Sequence[bytes]:
        """The hashes of `nodes`, in their order. Raises KeyError when one was never written."""
        ...

    def write(self, hashes: Sequence[tuple[Node, bytes]]) -> None:
        """Keep the hashes."""
        ...


class MemoryHashStore:
    """A HashStore in a dictionary."""

    def __init__(self) -> None:
        self.hashes: dict[Node, bytes] = {}

    def read(self, nodes: Sequence[Node]) -> Sequence[bytes]:
        return [self.hashes[node] for node in nodes]

    def write(self, hashes: Sequence[tuple[Node, bytes]]) -> None:
        self.hashes.update(hashes)


def hash_leaf(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def parents_of(row: bytes) -> bytes:
    """Of hashes that stand one behind the other, those of their parents: each of two neighbours."""
    sha256, width = hashlib.sha256, 2 * HASH_BYTES
    return b"".join([sha256(b"\x01" + row[at : at + width]).digest() for at in range(0, len(row), width)])


def range_nodes(begin: int, end: int) -> list[Node]:
    """The complete subtrees that make up the leaves [begin, end), left to right.

    `begin` must be a multiple of the smallest power of two >= end - begin: in a tree or a proof it always is.
    """
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append(Node(level, begin >> level))
        begin += 1 << level
    return nodes


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash over complete subtrees given left to right, as `range_nodes` orders them."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = hash_children(left, root)
    return root


class Frontier:
    """The complete subtrees along the right edge of a tree: O(log n) hashes, enough to append and fold the root."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """`hashes` are those of `range_nodes(0, size)`."""
        if len(hashes) != bin(size).count("1"):
            raise ValueError(f"a tree of {size} leaves has {bin(size).count('1')} complete subtrees, not {len(hashes)}")
        self.size = size
        self._hashes = list(hashes)

    def append(self, leaf_hash: bytes) -> list[tuple[Node, bytes]]:
        """Add a leaf; returns the subtrees that it completed, the leaf itself first."""
        _require_hash("leaf_hash", leaf_hash)
        completed = [(Node(0, self.size), leaf_hash)]
        while completed[-1][0].number & 1:
            (level, number), right = completed[-1]
            completed.append((Node(level + 1, number >> 1), hash_children(self._hashes.pop(), right)))
        self._hashes.append(completed[-1][1])
        self.size += 1
        return completed

    def extend(self, leaf_hashes: Sequence[bytes]) -> None:
        """Add leaves in order, as `append` of each does, at a third of its time: level by level."""
        for leaf_hash in leaf_hashes:
            _require_hash("leaf_hash", leaf_hash)
        self.extend_joined(b"".join(leaf_hashes))

    def extend_joined(self, row: bytes, parents: Callable[[bytes], bytes] = parents_of) -> None:
        """The same of leaf hashes that stand one behind the other, by something else that does what `parents_of` does.

        Raises ValueError when they are not whole.
        """
        if len(row) % HASH_BYTES:
            raise ValueError(f"leaf hashes must be of {HASH_BYTES} bytes each, together they have {len(row)}")
        # What is there by its level, lowest first; the bits of the size say which levels have something.
        there, kept = list(reversed(self._hashes)), []
        size = self.size
        self.size += len(row) // HASH_BYTES
        while row or size:
            if size & 1:
                row = there.pop(0) + row
            if len(row) & HASH_BYTES:
                kept.append(row[-HASH_BYTES:])
                row = row[:-HASH_BYTES]
            row = parents(row) if row else row
            size >>= 1
        self._hashes = kept[::-1]

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return fold(self._hashes)


class MerkleTree:
    """An append-only tree over a HashStore.

    The caller keeps `size` in the transaction that writes the hashes; after a rollback it makes a new tree.
    """

    def __init__(self, store: HashStore, size: int = 0) -> None:
        if size < 0:
            raise ValueError(f"size must not be negative, got {size}")
        self._store = store
        self.size = size

    def append(self, leaf_hash: bytes) -> int:
        """Add one leaf hash (see `hash_leaf`); returns its index, from 0."""
        return self.extend([leaf_hash]) - 1

    def extend(self, leaf_hashes: Iterable[bytes]) -> int:
        """Add leaf hashes in order with one read and one write of the store; returns the new size."""
        frontier = Frontier(self.size, self._store.read(range_nodes(0, self.size)))
        completed = [node for leaf_hash in leaf_hashes for node in frontier.append(leaf_hash)]
        self._store.write(completed)
        self.size = frontier.size
        return self.size

    def root(self, size: int) -> bytes:
        """The root when the tree had `size` leaves."""
        self._require_size("size", size)
        return fold(self._store.read(range_nodes(0, size)))

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """The path, leaf to root, of leaf `index` in the tree of `size` leaves (RFC 9162 section 2.1.3.1)."""
        self._require_size("size", size)
        if not 0 <= index < size:
            raise ValueError(f"index must be from 0 to {size - 1}, got {index}")
        return self._hash_ranges(_inclusion_ranges(index, 0, size))

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of `new` leaves begins with that of `old` (RFC 9162 section 2.1.4.1).

        Empty when old is 0 or equals new: there is nothing to show beyond the roots themselves.
        """
        self._require_size("new", new)
        if not 0 <= old <= new:
            raise ValueError(f"old must be from 0 to {new}, got {old}")
        return self._hash_ranges(_consistency_ranges(old, 0, new, True)) if old else []

    def _hash_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        groups = [range_nodes(begin, end) for begin, end in ranges]
        hashes = iter(self._store.read([node for group in groups for node in group]))
        return [fold([next(hashes) for _ in group]) for group in groups]

    def _require_size(self, name: str, size: int) -> None:
        if not 0 <= size <= self.size:
            raise ValueError(f"{name} must be from 0 to {self.size}, the size of the tree; got {size}")


def verify_inclusion(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check an audit path (RFC 9162 section 2.1.3.2). Raises InvalidProof."""
    _require_hashes({"leaf_hash": leaf_hash, "root": root}, path)
    if not 0 <= index < size:
        raise InvalidProof(f"Leaf index {index} is not in a tree of {size} leaves.")
    position, last, computed = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            raise InvalidProof(f"The inclusion path has {len(path)} hashes, too many for leaf {index} of {size}.")
        if position & 1 or position == last:
            computed = hash_children(sibling, computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = hash_children(computed, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise InvalidProof(f"The inclusion path has {len(path)} hashes, too few for leaf {index} of {size}.")
    if computed != root:
        raise InvalidProof(f"The inclusion path of leaf {index} of {size} does not lead to the root.")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that tree `new` begins with tree `old` (RFC 9162 section 2.1.4.2). Raises InvalidProof."""
    _require_hashes({"old_root": old_root, "new_root": new_root}, path)
    if not 0 <= old <= new:
        raise InvalidProof(f"A tree of {new} leaves cannot begin with a tree of {old}.")
    if old in (0, new):
        if path:
            raise InvalidProof(f"The proof from {old} to {new} leaves must be empty, it has {len(path)} hashes.")
        if old_root != (new_root if old == new else EMPTY_ROOT):
            raise InvalidProof(f"The two roots at {old} leaves differ: these are two different logs.")
        return
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not path:
        raise InvalidProof(f"The proof from {old} to {new} leaves is empty.")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    computed_old = computed_new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise InvalidProof(f"The proof has {len(path)} hashes, too many for {old} to {new} leaves.")
        if position & 1 or position == last:
            computed_old = hash_children(sibling, computed_old)
            computed_new = hash_children(sibling, computed_new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed_new = hash_children(computed_new, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise InvalidProof(f"The proof has {len(path)} hashes, too few for {old} to {new} leaves.")
    if computed_old != old_root:
        raise InvalidProof(f"The proof does not lead to the old root at {old} leaves: the log was forked or rewritten.")
    if computed_new != new_root:
        raise InvalidProof(f"The proof does not lead to the new root at {new} leaves.")


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, for size > 1."""
    return 1 << ((size - 1).bit_length() - 1)


def _inclusion_ranges(index: int, begin: int, end: int) -> list[tuple[int, int]]:
    if end - begin == 1:
        return []
    middle = begin + _split(end - begin)
    if index < middle:
        return [*_inclusion_ranges(index, begin, middle), (middle, end)]
    return [*_inclusion_ranges(index, middle, end), (begin, middle)]


def _consistency_ranges(old: int, begin: int, end: int, old_root_known: bool) -> list[tuple[int, int]]:
    """SUBPROOF of RFC 9162 section 2.1.4.1 with absolute leaf indices: `old` ends inside (begin, end]."""
    if old == end:
        return [] if old_root_known else [(begin, end)]
    middle = begin + _split(end - begin)
    if old <= middle:
        return [*_consistency_ranges(old, begin, middle, old_root_known), (middle, end)]
    return [*_consistency_ranges(old, middle, end, False), (begin, middle)]


def _require_hash(name: str, value: bytes) -> None:
    if not isinstance(value, bytes) or len(value) != HASH_BYTES:
        raise ValueError(f"{name} must be {HASH_BYTES} bytes, got {value!r}")


def _require_hashes(named: dict[str, bytes], path: Sequence[bytes]) -> None:
    try:
        for name, value in [*named.items(), *((f"path[{i}]", value) for i, value in enumerate(path))]:
            _require_hash(name, value)
    except ValueError as error:
        raise InvalidProof(str(error)) from None
