"""The recorder of PyPI `eventsourcing` over an EventStore, so that its own test cases can be run against our adapters.

Their aggregate is a stream of ours, their notification id a position. An event's id is made of its aggregate and
version, so that inserting it twice is found. Not everything they ask of a recorder is in our port:

- one insert may hold events of several aggregates; an append of ours is to one stream, which no case needs;
- tracking records are kept with the events (TrackingRecorderTestCase, ProcessRecorderTestCase): ours stand with what a
  projection makes of the events, in its own database, and `integration/common_read` tests them there;
- the factory and transcoder cases test `eventsourcing` itself, not a store.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, TypeVar
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    OperationalError,
    StoredEvent,
    Subscription,
)
from eventsourcing.tests import persistence as cases
from modelog_common.domain.errors import Conflict, Invalid
from modelog_common.events import store as ours
from racing import open_store

CATEGORY = "peer.aggregate"
T = TypeVar("T")


class AggregateShim(AggregateRecorder):
    """A store, driven by an event loop in a thread, since recorders block."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._lock, self._closed = threading.Lock(), False
        self.store = self.run(open_store(address))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self._closed:
                work.close()
                raise OperationalError("the recorder is closed")
            running = asyncio.run_coroutine_threadsafe(work, self._loop)
        return running.result()

    def close(self) -> None:
        """Some cases leave threads behind that still ask: they are answered first."""
        with self._lock:
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        await self.store.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        self.insert(stored_events)
        return None

    def insert(self, events: Sequence[StoredEvent]) -> Sequence[int]:
        if not events:
            return []
        (originator,) = {e.originator_id for e in events}
        new = [
            ours.NewEvent(
                f"{originator}/{e.originator_version}", e.topic, 1, e.state, "", "", trace_id=str(e.originator_version)
            )
            for e in events
        ]
        try:
            appended = self.run(self._append(_stream(originator), events[0].originator_version, new))
        except (Conflict, Invalid) as error:
            raise IntegrityError(str(error)) from error
        if appended.repeated:
            raise IntegrityError("these events were inserted before")
        return list(range(appended.position - len(events) + 1, appended.position + 1))

    async def _append(self, stream: str, version: int, new: Sequence[ours.NewEvent]) -> ours.Appended:
        """Their versions may begin with 0 or 1, ours begin with 1."""
        first = version
        async for stored in self.store.read_stream(stream):
            first = int(stored.trace_id)
            break
        return await self.store.append(stream, new, expected=version - first)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        found = [
            StoredEvent(originator_id, int(e.trace_id), e.type, e.payload)
            for e in self.run(_all(self.store.read_stream(_stream(originator_id))))
        ]
        chosen = [
            e
            for e in (reversed(found) if desc else found)
            if (gt is None or e.originator_version > gt) and (lte is None or e.originator_version <= lte)
        ]
        return chosen[:limit]


class ApplicationShim(AggregateShim, ApplicationRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self.insert(stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = 0 if start is None else start - inclusive_of_start
        return self.run(_first(self.store.read_all(after=after, until=stop), limit, topics))

    def max_notification_id(self) -> int | None:
        return self.run(self.store.head()) or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return _Subscription(self, gt, topics)


class _Subscription(Subscription["ApplicationShim"]):
    """`stop` may come from another thread, while the next event is waited for."""

    def __init__(self, recorder: ApplicationShim, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._events = recorder.store.subscribe(after=gt or 0)

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            try:
                stored = self._recorder.run(anext(self._events))  # type: ignore[arg-type]
            except CancelledError:
                break
            if not self._topics or stored.type in self._topics:
                return _notification(stored)
        raise StopIteration


def _stream(originator_id: UUID | str) -> str:
    return f"{CATEGORY}-{originator_id}"


def _notification(stored: ours.StoredEvent) -> Notification:
    originator = UUID(stored.stream.removeprefix(f"{CATEGORY}-"))
    return Notification(originator, int(stored.trace_id), stored.type, stored.payload, id=stored.position)


async def _all(events: AsyncIterator[ours.StoredEvent]) -> list[ours.StoredEvent]:
    return [stored async for stored in events]


async def _first(events: AsyncIterator[ours.StoredEvent], limit: int, topics: Sequence[str]) -> Sequence[Notification]:
    found: list[Notification] = []
    async for stored in events:
        if not topics or stored.type in topics:
            found.append(_notification(stored))
        if len(found) == limit:
            break
    return found


class Shimmed:
    """For a test module, which gives the fixture `address`."""

    addCleanup: Callable[..., None]  # noqa: N815

    @pytest.fixture(autouse=True)
    def _store_address(self, address: str) -> None:
        self.address = address

    def open(self, shim: type[T]) -> T:
        recorder = shim(self.address)  # type: ignore[call-arg]
        self.addCleanup(recorder.close)  # type: ignore[attr-defined]
        return recorder


class AggregateRecorderCases(Shimmed, cases.AggregateRecorderTestCase):
    __test__ = False

    def create_recorder(self) -> AggregateRecorder:
        return self.open(AggregateShim)


class ApplicationRecorderCases(Shimmed, cases.ApplicationRecorderTestCase):
    __test__ = False

    def create_recorder(self) -> ApplicationRecorder:
        return self.open(ApplicationShim)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class NonInterleavingCases(Shimmed, cases.NonInterleavingNotificationIDsBaseCase):
    __test__ = False

    def create_recorder(self) -> ApplicationRecorder:
        return self.open(ApplicationShim)
