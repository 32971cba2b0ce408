"""Where predictions are in the log's file: which batch, and which row of it.

Ids that callers chose have an entry each, in the table `prediction`. Ids that serving made begin with the time, so
those of a batch lie close together: the batch has one entry for all of them, in `made`, with the first and the last of
them in the order of texts. All batches that an id may be in are looked at.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelog_proto.serving.v1.data_pb2 import PredictionBatch

from modelog_serving.predlog import file
from modelog_serving.predlog.answers import Answers, Recorded, row_of
from modelog_serving.predlog.bodies import Connection
from modelog_serving.predlog.rows import bounds

# As JSON writes it.
NUL = "\\u0000"
# A batch has one entry if its ids begin alike: so much of a UUIDv7 stands for four seconds. Whatever lies between the
# first and the last begins as they do, so that an id need be looked for only among those that begin as it does.
ALIKE = len("01a21989-6")
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Place:
    """Where a prediction is."""

    deployment: str
    sequence: int
    row: int


def add(db: sqlite3.Connection, number: int, answers: Answers, sequence: int) -> None:
    """Say where the predictions of a batch are, by the number of its deployment."""
    first, last = bounds(answers.ids)
    if answers.given_ids or len(first) < ALIKE or first[:ALIKE] != last[:ALIKE]:
        add_each(db, number, answers.ids, sequence)
    else:
        db.execute("INSERT INTO made VALUES (?, ?, ?, ?)", (number, last, sequence, first))


def add_each(db: sqlite3.Connection, number: int, ids: Sequence[str], sequence: int) -> None:
    """An entry for each. Of an id that is there already the first place counts."""
    told = json.dumps(list(ids))
    if NUL in told:
        # SQLite's JSON would end the id there.
        db.executemany(
            "INSERT OR IGNORE INTO prediction VALUES (?, ?, ?, ?)",
            [(number, prediction_id, sequence, row) for row, prediction_id in enumerate(ids)],
        )
        return
    # One statement: each gives up Python's lock and has to get it back.
    db.execute("INSERT OR IGNORE INTO prediction SELECT ?, value, ?, key FROM json_each(?)", (number, sequence, told))


def forget(db: sqlite3.Connection, number: int, ids: Sequence[str], sequence: int) -> None:
    """Take the predictions of a batch out of the index."""
    gone = db.execute(
        "DELETE FROM made WHERE deployment = ? AND last = ? AND sequence = ?", (number, max(ids, default=""), sequence)
    )
    if not gone.rowcount:
        db.executemany(
            "DELETE FROM prediction WHERE deployment = ? AND id = ? AND sequence = ?",
            [(number, prediction_id, sequence) for prediction_id in ids],
        )


def place_of(db: Connection, number: int, prediction_id: str) -> tuple[int, int] | None:
    """The batch and the row of a prediction; of several, the first."""
    own = db.execute(
        "SELECT sequence, row FROM prediction WHERE deployment = ? AND id = ?", (number, prediction_id)
    ).fetchone()
    found = next(_among_made(db, number, prediction_id), None)
    return min((place for place in (own, found) if place is not None), default=None)


def places_of(db: Connection, tenant: str, deployment: str, prediction_id: str) -> list[Place]:
    """Where a tenant's predictions of this id are: of one deployment, or of all when none is named."""
    known = db.execute(
        "SELECT number, name FROM deployment WHERE tenant = ? AND ? IN ('', name) ORDER BY number", (tenant, deployment)
    ).fetchall()
    found = [(name, place_of(db, number, prediction_id)) for number, name in known]
    return [Place(name, *place) for name, place in found if place is not None]


def recorded(db: Connection, sequence: int, row: int) -> Recorded:
    """What is in a row of a batch."""
    return row_of(PredictionBatch.FromString(_body(db, sequence)), row)


def find(db: Connection, tenant: str, deployment: str, prediction_id: str) -> Recorded | None:
    """One answer by its id."""
    places = places_of(db, tenant, deployment, prediction_id)
    return recorded(db, places[0].sequence, places[0].row) if places else None


def _among_made(db: Connection, number: int, prediction_id: str) -> Iterator[tuple[int, int]]:
    """The places of an id in batches that have one entry, in their order."""
    batches = db.execute(
        "SELECT sequence FROM made WHERE deployment = ? AND last >= ? AND last < ? AND first <= ? ORDER BY sequence",
        (number, prediction_id, prediction_id[:ALIKE] + LAST_CHARACTER, prediction_id),
    )
    for (sequence,) in batches.fetchall():
        body = _body(db, sequence)
        if prediction_id.encode() in body:
            ids = list(PredictionBatch.FromString(body).prediction_ids)
            if prediction_id in ids:
                yield sequence, ids.index(prediction_id)


def _body(db: Connection, sequence: int) -> bytes:
    return file.one_batch(db, "sequence = ?", (sequence,)).body
