"""Segments in the prediction log's file: which batches belong to one, and the way from an answer to its root."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from modelog_proofs import Frontier, MemoryHashStore, MerkleTree, PredictionRecord
from modelog_proto.serving.v1.data_pb2 import PredictionBatch

from modelog_serving.predlog import file, hashing
from modelog_serving.predlog.bodies import Connection
from modelog_serving.predlog.groups import Group, groups_of
from modelog_serving.predlog.leaves import leaf_hashes, record_of

WAITING_BYTES = 100_000
_FIELDS = "tenant, number, first, last, count, size_bytes, root, digest, first_us, last_us, position, leaves"


@dataclass(frozen=True)
class Segment:
    """A tenant's batches `first` to `last`; `position` is that of its event, 0 before there is one.

    `count` answers are in `leaves` leaves (`groups`); where that is 0, in a leaf each (`leaves`).
    """

    tenant: str
    number: int
    first: int
    last: int
    count: int
    size_bytes: int
    root: str
    digest: str
    first_us: int
    last_us: int
    position: int = 0
    leaves: int = 0


class OpenSegment:
    """A segment that grows."""

    def __init__(self, tenant: str, number: int, first: int) -> None:
        self.tenant, self.number, self.first, self.last = tenant, number, first, first
        self.count, self.size_bytes, self.first_us, self.last_us = 0, 0, 0, 0
        self._frontier, self._digest = Frontier(), hashlib.sha256()
        # Leaf hashes that are not in the tree yet: many are put there in one go.
        self._leaves: list[bytes] = []
        self._waiting_bytes = 0

    def add(self, sequence: int, body: bytes) -> None:
        """The next batch of the tenant."""
        batch = PredictionBatch.FromString(body)
        leaves = hashing.leaves_of(batch, body)
        self._leaves.append(leaves)
        self._waiting_bytes += len(leaves)
        if self._waiting_bytes > WAITING_BYTES:
            self._grow()
        self.count += len(batch.answered_by)
        self._digest.update(body)
        self.size_bytes += len(body)
        self.last, self.last_us = sequence, batch.answered_at_us
        self.first_us = self.first_us or batch.answered_at_us

    def closed(self) -> Segment:
        """As it is now."""
        self._grow()
        return Segment(
            self.tenant,
            self.number,
            self.first,
            self.last,
            self.count,
            self.size_bytes,
            self._frontier.root().hex(),
            self._digest.hexdigest(),
            self.first_us,
            self.last_us,
            leaves=self._frontier.size,
        )

    def _grow(self) -> None:
        self._frontier.extend_joined(b"".join(self._leaves), hashing.parents_of)
        self._leaves, self._waiting_bytes = [], 0


@dataclass
class Reached:
    """How far the log was sealed: everything up to `covered` is looked at; by tenant the last number and batch."""

    covered: int = 0
    tenants: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Included:
    """An answer in its segment: `path` leads from its leaf to the segment's root.

    It is the answer `row` of its leaf, from 0; `row_hashes` are of the others there, in order.
    """

    prediction: PredictionRecord
    segment: Segment
    leaf_index: int
    path: list[bytes]
    row: int = 0
    row_hashes: Sequence[bytes] = ()


def reached(db: sqlite3.Connection) -> Reached:
    """From where on there may be batches that are in no segment."""
    tenants = {tenant: (0, 0) for (tenant,) in db.execute("SELECT DISTINCT tenant FROM deployment")}
    tenants |= {
        tenant: (number, last) for tenant, number, last in db.execute("SELECT tenant, number, last FROM dropped")
    }
    found = db.execute("SELECT tenant, max(number), max(last) FROM segment GROUP BY tenant").fetchall()
    tenants |= {tenant: (number, last) for tenant, number, last in found}
    return Reached(min((last for _, last in tenants.values()), default=0), tenants)


def keep(db: sqlite3.Connection, closed: Sequence[Segment]) -> None:
    """Write closed segments down, before they are told; those that are there stay as they are."""
    names = _FIELDS.split(", ")
    db.executemany(
        f"INSERT OR IGNORE INTO segment ({_FIELDS}) VALUES ({', '.join('?' * len(names))})",
        [[getattr(segment, name) for name in names] for segment in closed],
    )


def told(db: sqlite3.Connection, segment: Segment, position: int) -> None:
    """Remember where the segment's event stands."""
    db.execute(
        "UPDATE segment SET position = ? WHERE tenant = ? AND number = ?", (position, segment.tenant, segment.number)
    )


def untold(db: sqlite3.Connection) -> list[Segment]:
    """Segments without an event, in order."""
    return [Segment(*row) for row in db.execute(f"SELECT {_FIELDS} FROM segment WHERE position = 0 ORDER BY number")]


def segment_of(db: sqlite3.Connection, tenant: str, sequence: int) -> Segment | None:
    """The segment that a tenant's batch is in."""
    row = db.execute(
        f"SELECT {_FIELDS} FROM segment WHERE tenant = ? AND last >= ? ORDER BY last LIMIT 1", (tenant, sequence)
    ).fetchone()
    return Segment(*row) if row is not None and row[2] <= sequence else None


def first_where(db: sqlite3.Connection, condition: str, value: int) -> Segment | None:
    """The first segment, by its last batch, that meets a condition."""
    row = db.execute(f"SELECT {_FIELDS} FROM segment WHERE {condition} ORDER BY last LIMIT 1", (value,)).fetchone()
    return None if row is None else Segment(*row)


def bodies(db: Connection, segment: Segment) -> Iterator[tuple[int, bytes]]:
    """The batches of a segment, in order, each with its place."""
    where = "sequence BETWEEN ? AND ? AND tenant = ? ORDER BY sequence"
    for batch in file.batches(db, where, (segment.first, segment.last, segment.tenant)):
        yield batch.sequence, batch.body


def included(db: Connection, segment: Segment, sequence: int, row: int) -> Included | None:
    """The answer in a row of a batch, with its way to the root; None when the segment is not whole any more."""
    tree, found, count = MerkleTree(MemoryHashStore()), None, 0
    for place, body in bodies(db, segment):
        batch = PredictionBatch.FromString(body)
        count += len(batch.answered_by)
        groups = groups_of(batch) if segment.leaves else _leaf_each(batch)
        for group in groups:
            if place == sequence and group.first <= row < group.first + len(group.row_hashes):
                found = Included(record_of(batch, row), segment, tree.size, [], *_among(group, row))
            tree.append(group.leaf_hash)
    if found is None or count != segment.count:
        return None
    return replace(found, path=tree.inclusion_proof(found.leaf_index, tree.size))


def _leaf_each(batch: PredictionBatch) -> list[Group]:
    """As segments of before have them."""
    return [Group(row, [leaf_hash], leaf_hash) for row, leaf_hash in enumerate(leaf_hashes(batch))]


def _among(group: Group, row: int) -> tuple[int, Sequence[bytes]]:
    """The place of a row in its leaf, and the hashes of the others."""
    place = row - group.first
    return place, [*group.row_hashes[:place], *group.row_hashes[place + 1 :]]
