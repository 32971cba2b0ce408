"""Replaying the same thousand measurements: with Modelog, with `eventsourcing`, and as bare rows."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.domain import event as peer_event
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.types import EventTypes, event

PAGE = 1000


@event("bench.Measured")
class Measured:
    """A value of a metric."""

    name: str
    value: float
    step: int
    unit: str
    note: str


@dataclass(frozen=True)
class Curve:
    """The latest value and how many there were."""

    value: float = 0.0
    count: int = 0


def measure(curve: Curve, count: int, ctx: Context) -> Sequence[Measured]:
    return [Measured("held_out_auc", n / count, n, "share", "ok") for n in range(count)]


def evolve(curve: Curve, measured: Measured) -> Curve:
    return Curve(measured.value, curve.count + 1)


CURVE = Decider("bench.curve", Curve, measure, evolve)
TYPES = EventTypes([Measured])


class PeerCurve(Aggregate):
    """The same for the peer."""

    @peer_event("Begun")
    def __init__(self) -> None:
        self.value, self.count = 0.0, 0

    @peer_event("Measured")
    def measure(self, name: str, value: float, step: int, unit: str, note: str) -> None:
        self.value, self.count = value, self.count + 1


class ModelogReplay:
    """Streams in a Modelog store, read back as typed events."""

    def __init__(self, store: SqliteEventStore, curves: list[str]) -> None:
        self._store, self._curves = store, curves

    @classmethod
    async def filled(cls, path: Path, streams: int, length: int) -> ModelogReplay:
        store = await SqliteEventStore.open(path)
        entities = Entities(store, CURVE, TYPES)
        curves = [str(uuid7()) for _ in range(streams)]
        for curve in curves:
            ctx = Context(SystemClock().now(), "bench", "default", str(uuid7()))
            await entities.handle(curve, length, ctx)
        return cls(store, curves)

    async def to_state(self) -> float:
        """Events a second from the store to the states of all entities, one after the other."""
        entities, began = Entities(self._store, CURVE, TYPES), time.perf_counter()
        count = sum([(await entities.load(curve)).state.count for curve in self._curves])
        return count / (time.perf_counter() - began)

    async def whole_log(self) -> float:
        """Events a second from the store as typed events, in position order."""
        count, began = 0, time.perf_counter()
        async for stored in self._store.read_all():
            count += isinstance(TYPES.decode(stored.type, stored.schema, stored.payload), Measured)
        return count / (time.perf_counter() - began)

    async def close(self) -> None:
        await self._store.close()


class PeerReplay:
    """The same streams in the peer's SQLite, through its default JSON transcoder."""

    def __init__(self, path: Path, streams: int, length: int) -> None:
        self._application: Application[UUID] = Application(
            env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
        )
        self._curves = []
        for _ in range(streams):
            curve = PeerCurve()
            for n in range(length):
                curve.measure("held_out_auc", n / length, n, "share", "ok")
            self._application.save(curve)
            self._curves.append(curve.id)

    def to_state(self) -> float:
        began = time.perf_counter()
        curves: list[PeerCurve] = [self._application.repository.get(curve) for curve in self._curves]
        return sum(curve.count for curve in curves) / (time.perf_counter() - began)

    def whole_log(self) -> float:
        recorder, mapper = self._application.recorder, self._application.mapper
        count, last, began = 0, 0, time.perf_counter()
        while notifications := recorder.select_notifications(last + 1, PAGE):
            for notification in notifications:
                mapper.to_domain_event(notification)
            count, last = count + len(notifications), notifications[-1].id
        return count / (time.perf_counter() - began)

    def close(self) -> None:
        self._application.close()


def rows_rate(path: Path) -> float:
    """Rows a second that SQLite gives back from the same file, as tuples that nobody decodes: the limit."""
    db = sqlite3.connect(path)
    count, began = 0, time.perf_counter()
    for _ in db.execute("SELECT * FROM events ORDER BY position"):
        count += 1
    rate = count / (time.perf_counter() - began)
    db.close()
    return rate
