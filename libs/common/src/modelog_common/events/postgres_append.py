"""What the procedure `append` of the PostgreSQL event store is given, and what its answer says of each append."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from modelog_common.domain.errors import Conflict, ModelogError
from modelog_common.events.group import Answers, Pending
from modelog_common.events.postgres_schema import APPENDED, REPEATED, SCHEMA, WRONG_VERSION
from modelog_common.events.store import Appended, Expected

CALL = f"CALL {SCHEMA}.append($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL, NULL, NULL)"


class _Row(msgspec.Struct):
    """An event, but for its id and its payload: `owner` is the append that it belongs to, `nth` its place in there."""

    owner: int
    nth: int
    type: str
    schema: int
    tenant: str
    actor: str
    correlation: str
    causation: str
    trace: str


_encode = msgspec.json.Encoder().encode


def arguments(batch: Sequence[Pending], now: datetime) -> tuple[object, ...]:
    """One entry an append, then one an event."""
    streams = [item.stream for item in batch]
    expected = [
        None if item.expected is Expected.ANY else 0 if item.expected is Expected.NONE else item.expected
        for item in batch
    ]
    counts = [len(item.events) for item in batch]
    events = [e for item in batch for e in item.events]
    ids = [e.id for e in events]
    careful = len(set(streams)) < len(streams) or len(set(ids)) < len(ids)
    rows = [
        _Row(owner, nth, e.type, e.schema, e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id)
        for owner, item in enumerate(batch, start=1)
        for nth, e in enumerate(item.events, start=1)
    ]
    return careful, now, streams, expected, counts, ids, [e.payload for e in events], _encode(rows).decode()


def answers(batch: Sequence[Pending], answered: Any) -> Answers:
    """The answer of each append: they follow each other in the usual case, of which only the beginning is told."""
    before, versions, outcomes, positions = answered
    if outcomes is not None:
        return [_answer(*told) for told in zip(batch, outcomes, positions, versions, strict=True)]
    found: Answers = []
    for item, version in zip(batch, versions, strict=True):
        before += len(item.events)
        found.append(Appended(before, version + len(item.events)))
    return found


def _answer(item: Pending, outcome: int, position: int, version: int) -> Appended | ModelogError:
    if outcome == APPENDED:
        return Appended(position, version)
    if outcome == REPEATED:
        return Appended(position, version, repeated=True)
    if outcome == WRONG_VERSION:
        wanted = 0 if item.expected is Expected.NONE else item.expected
        return Conflict(f"{item.stream} is at version {version}, not at the expected {wanted}")
    return Conflict(f"{position} of {len(item.events)} event ids for {item.stream} are in the store already")
