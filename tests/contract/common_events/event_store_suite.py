"""What every event store guarantees. An adapter's test module gives `store` and `reopened` and inherits the suite."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import msgspec
import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Conflict, Invalid, Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.store import Appended, EventStore, Expected, NewEvent, StoredEvent

Reopen = Callable[[], Awaitable[EventStore]]


def new(n: int = 0, *, event_id: str | None = None, payload: bytes | None = None, actor: str = "alice") -> NewEvent:
    body = b'{"n":%d}' % n if payload is None else payload
    return NewEvent(event_id or str(uuid7()), "test.Happened", 1, body, "acme", actor)


def history(count: int) -> list[StoredEvent]:
    """What another store held: two streams, one event a minute."""
    start = datetime(2026, 2, 1, tzinfo=UTC)
    return [
        StoredEvent(
            n, f"held-{n}", f"a.b-{n % 2}", (n + 1) // 2, "test.Happened", 1, start + timedelta(minutes=n),
            "acme", "bob", "c", "why", "trace", b'{"n":%d}' % n,
        )
        for n in range(1, count + 1)
    ]  # fmt: skip


async def collect(events: AsyncIterator[StoredEvent], count: int | None = None) -> list[StoredEvent]:
    found = []
    async with asyncio.timeout(150):
        async for stored in events:
            found.append(stored)
            if count is not None and len(found) == count:
                break
    return found


class EventStoreSuite:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(datetime(2026, 3, 1, tzinfo=UTC))

    @pytest.fixture
    async def store(self, clock: ManualClock) -> AsyncIterator[EventStore]:
        raise NotImplementedError

    @pytest.fixture
    async def reopen(self, store: EventStore) -> Reopen:
        """Opens the same store again, as another process would."""
        raise NotImplementedError

    async def test_an_empty_store(self, store: EventStore) -> None:
        assert await store.head() == 0
        assert await collect(store.read_all()) == []
        assert await collect(store.read_stream("a.b-1")) == []
        assert await store.find("nothing") is None

    async def test_positions_and_versions_count_from_one(self, store: EventStore) -> None:
        first = await store.append("a.b-1", [new(1), new(2)])
        second = await store.append("a.b-2", [new(3)])
        assert (first.position, first.version) == (2, 2)
        assert (second.position, second.version) == (3, 1)
        assert [e.position for e in await collect(store.read_all())] == [1, 2, 3]
        assert [(e.stream, e.version) for e in await collect(store.read_stream("a.b-1"))] == [
            ("a.b-1", 1),
            ("a.b-1", 2),
        ]

    async def test_what_is_read_is_what_was_appended(self, store: EventStore, clock: ManualClock) -> None:
        event = NewEvent("id-1", "test.Happened", 3, b'{"x":"\\u0000"}', "acme", "alice", "c", "why", "trace")
        await store.append("a.b-\u00e9\u4e2d\x01", [event])
        found = await store.find("id-1")
        assert found == StoredEvent(
            1, "id-1", "a.b-\u00e9\u4e2d\x01", 1, "test.Happened", 3, clock.now(),
            "acme", "alice", "c", "why", "trace", b'{"x":"\\u0000"}',
        )  # fmt: skip

    @pytest.mark.parametrize("expected", [0, Expected.NONE, Expected.ANY])
    async def test_a_new_stream(self, store: EventStore, expected: int | Expected) -> None:
        assert (await store.append("a.b-1", [new()], expected=expected)).version == 1

    @pytest.mark.parametrize("expected", [0, 2, Expected.NONE])
    async def test_a_wrong_expected_version_appends_nothing(self, store: EventStore, expected: int | Expected) -> None:
        await store.append("a.b-1", [new()])
        with pytest.raises(Conflict, match="is at version 1"):
            await store.append("a.b-1", [new()], expected=expected)
        assert await store.head() == 1

    async def test_the_same_ids_again_give_the_first_answer(self, store: EventStore) -> None:
        events = [new(1), new(2)]
        first = await store.append("a.b-1", events, expected=0)
        await store.append("a.b-1", [new(3)])
        again = await store.append("a.b-1", events, expected=0)
        assert (again.position, again.version, again.repeated) == (first.position, first.version, True)
        assert await store.head() == 3

    async def test_a_partial_overlap_is_refused_whole(self, store: EventStore) -> None:
        known = new(1)
        await store.append("a.b-1", [known])
        with pytest.raises(Conflict, match="1 of 2 event ids"):
            await store.append("a.b-1", [known, new(2)])
        with pytest.raises(Conflict):
            await store.append("a.b-2", [known])
        assert await store.head() == 1

    async def test_bad_appends_are_refused_and_leave_nothing(self, store: EventStore) -> None:
        same = new()
        for stream, events in [
            ("nodash", [new()]),
            ("-x", [new()]),
            ("a-", [new()]),
            ("a.b-1", []),
            ("a.b-1", [same, same]),
        ]:
            with pytest.raises(Invalid):
                await store.append(stream, events)
        assert await store.head() == 0

    @pytest.mark.parametrize("field", ["id", "type", "tenant", "actor", "correlation_id", "causation_id", "trace_id"])
    @pytest.mark.parametrize(
        ("text", "wrong"),
        [("a\0b", "holds the character NUL"), ("a\ud800", "not valid Unicode"), ("é" * 600, "bytes; at most 1,024")],
    )
    async def test_a_text_that_no_store_holds_is_refused_by_name(
        self, store: EventStore, field: str, text: str, wrong: str
    ) -> None:
        with pytest.raises(Invalid, match=rf"^events\[1\]\.{field}: .*{wrong}"):
            await store.append("a.b-1", [new(1), msgspec.structs.replace(new(2), **{field: text})])
        with pytest.raises(Invalid, match=f"^stream: .*{wrong}"):
            await store.append(f"a.b-{text}", [new()])
        assert await store.head() == 0

    async def test_hostile_text_comes_back_as_it_was(self, store: EventStore) -> None:
        text = "' OR 1=1 --\x01\r\n\t\\{}$1%s\u202e\U0001f6eb\ufffe"
        payload = json.dumps({"name": "n" * 1_000_000, "nul": "\0", "lone": "\ud800", "text": text}).encode()
        event = NewEvent(f"id{text}", f"type{text}", 1, payload, text, text, text, text, text)
        stream = f"a.b-{text}"
        await store.append(stream, [event])
        (found,) = await collect(store.read_stream(stream))
        assert found == await store.find(event.id)
        assert (found.stream, found.type, found.tenant, found.trace_id) == (stream, event.type, text, text)
        assert found.payload == payload
        assert [e.position for e in await collect(store.read_all(categories=["a.b"]))] == [1]

    async def test_a_payload_need_not_be_text(self, store: EventStore) -> None:
        payload = bytes(range(256))
        await store.append("a.b-1", [new(payload=payload), new(payload=b"")])
        assert [e.payload for e in await collect(store.read_all())] == [payload, b""]

    async def test_restored_events_are_the_same_events(self, store: EventStore, clock: ManualClock) -> None:
        held = history(4)
        await store.restore(held[:3])
        await store.restore(held[3:])
        assert await collect(store.read_all()) == held
        clock.advance(timedelta(days=-500))
        assert await store.append("a.b-0", [new()], expected=2) == Appended(5, 3)
        assert (await store.append("a.b-1", [new(event_id=held[0].id)])).repeated
        assert (await collect(store.read_all()))[-1].recorded_at == held[-1].recorded_at

    async def test_it_is_the_same_history_for_whoever_opens_it(self, store: EventStore, reopen: Reopen) -> None:
        found = store.history
        assert found
        await store.append("a.b-1", [new()])
        again = await reopen()
        assert (again.history, store.history) == (found, found)
        await again.renew()
        assert (await reopen()).history == again.history != found

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"position": 4}, r"events\[1\]\.position: is 4; the store goes on at position 3"),
            ({"position": 2}, r"events\[1\]\.position"),
            ({"version": 2}, r"events\[1\]\.version: is 2; a.b-0 goes on at version 1"),
            ({"recorded_at": datetime(2026, 1, 1, tzinfo=UTC)}, r"events\[1\]\.recorded_at"),
            ({"recorded_at": datetime(2026, 5, 1)}, r"events\[1\]\.recorded_at: has no time zone"),  # noqa: DTZ001
            ({"stream": "nodash"}, r"events\[1\]\.stream"),
            ({"actor": "\0"}, r"events\[1\]\.actor"),
            ({"id": "known"}, r"events: "),
        ],
    )
    async def test_what_does_not_go_on_is_not_restored(
        self, store: EventStore, wrong: dict[str, Any], field: str
    ) -> None:
        held = history(3)
        await store.restore([msgspec.structs.replace(held[0], id="known", stream="c.d-1", version=1)])
        restored = [msgspec.structs.replace(e, stream=f"a.b-{n}", version=1) for n, e in enumerate(held[1:], start=1)]
        restored[1] = msgspec.structs.replace(restored[1], **{"stream": "a.b-0", **wrong})
        with pytest.raises(Invalid, match=f"^{field}"):
            await store.restore(restored)
        assert await store.head() == 1

    async def test_concurrent_appends_to_one_stream_never_share_a_version(self, store: EventStore) -> None:
        answers = await asyncio.gather(
            *(store.append("a.b-1", [new(n)], expected=0) for n in range(20)), return_exceptions=True
        )
        assert sum(not isinstance(a, Exception) for a in answers) == 1
        assert all(isinstance(a, Conflict) for a in answers if isinstance(a, Exception))

    async def test_one_refused_append_does_not_disturb_its_neighbours(self, store: EventStore) -> None:
        answers = await asyncio.gather(
            *(store.append(f"a.b-{n}", [new(n)], expected=1 if n == 5 else 0) for n in range(10)),
            return_exceptions=True,
        )
        assert [isinstance(a, Conflict) for a in answers] == [n == 5 for n in range(10)]
        assert [e.position for e in await collect(store.read_all())] == list(range(1, 10))

    async def test_as_of_a_position(self, store: EventStore) -> None:
        for n in range(1, 11):
            await store.append(f"a.b-{n % 2}", [new(n)])
        assert [e.position for e in await collect(store.read_all(until=4))] == [1, 2, 3, 4]
        assert [e.position for e in await collect(store.read_stream("a.b-0", until=5))] == [2, 4]
        assert [e.version for e in await collect(store.read_stream("a.b-0", after=3))] == [4, 5]
        assert [e.position for e in await collect(store.read_all(after=8))] == [9, 10]

    async def test_as_of_a_time(self, store: EventStore, clock: ManualClock) -> None:
        before = clock.now() - timedelta(seconds=1)
        for n in range(3):
            await store.append("a.b-1", [new(n)])
            clock.advance(timedelta(minutes=1))
        assert await store.position_at(before) == 0
        assert await store.position_at(datetime(2026, 3, 1, 0, 1, 30, tzinfo=UTC)) == 2
        assert await store.position_at(clock.now()) == 3

    async def test_recorded_times_never_go_back(self, store: EventStore, clock: ManualClock) -> None:
        await store.append("a.b-1", [new()])
        clock.advance(timedelta(hours=-5))
        await store.append("a.b-1", [new()])
        first, second = await collect(store.read_all())
        assert second.recorded_at >= first.recorded_at

    async def test_categories_are_whole_names(self, store: EventStore) -> None:
        for stream in ("a.b-1", "a.bc-1", "a.b-2", "c.d-1-2"):
            await store.append(stream, [new()])
        assert [e.stream for e in await collect(store.read_all(categories=["a.b"]))] == ["a.b-1", "a.b-2"]
        assert [e.position for e in await collect(store.read_all(categories=["c.d", "a.bc"]))] == [2, 4]

    async def test_long_streams_are_read_whole(self, store: EventStore) -> None:
        await store.append("a.b-1", [new(n) for n in range(2500)])
        assert [e.version for e in await collect(store.read_stream("a.b-1"))] == list(range(1, 2501))
        assert len(await collect(store.read_all(after=1))) == 2499

    async def test_payloads_are_those_of_the_stream(self, store: EventStore) -> None:
        for start in range(0, 2500, 500):
            await store.append("a.b-1", [new(n) for n in range(start, start + 500)])
            await store.append("a.b-2", [new(start)])
        for after, until in ((0, None), (1, None), (999, 1700), (2499, None), (2500, None), (0, 0)):
            stream = await collect(store.read_stream("a.b-1", after=after, until=until))
            pages = [page async for page in store.read_payloads("a.b-1", after=after, until=until)]
            assert [event for page in pages for event in page.events] == [(e.type, e.schema, e.payload) for e in stream]
            lasts = list(accumulate((len(page.events) for page in pages), initial=after))[1:]
            assert [page.version for page in pages] == lasts
            for page in pages:
                last = stream[page.version - after - 1]
                assert (page.version, page.position, page.event_id) == (last.version, last.position, last.id)

    async def test_large_payloads(self, store: EventStore) -> None:
        payload = b'"' + b"x" * 10_000_000 + b'"'
        await store.append("a.b-" + "n" * 1000, [new(payload=payload)])
        assert (await collect(store.read_all()))[0].payload == payload

    async def test_a_subscription_catches_up_and_goes_live(self, store: EventStore, reopen: Reopen) -> None:
        await store.append("a.b-1", [new(n) for n in range(5)])
        other = await reopen()
        seen = asyncio.create_task(collect(other.subscribe(after=2, categories=["a.b"]), 8))
        for n in range(5):
            await store.append("a.b-1", [new(n)])
            await store.append("c.d-1", [new(n)])
        assert [e.position for e in await seen] == [3, 4, 5, 6, 8, 10, 12, 14]

    async def test_a_subscription_that_starts_amid_appends_has_no_gap_and_no_repeat(
        self, store: EventStore, reopen: Reopen
    ) -> None:
        async def keep_appending(stream: str) -> None:
            for _ in range(60):
                await store.append(stream, [new(n) for n in range(5)])

        writers = [asyncio.create_task(keep_appending(f"a.b-{n}")) for n in range(4)]
        other = await reopen()
        subscriptions = [
            asyncio.create_task(collect(other.subscribe(after=after), 1200 - after)) for after in (0, 100, 700)
        ]
        await asyncio.gather(*writers)
        for after, seen in zip((0, 100, 700), subscriptions, strict=True):
            assert [e.position for e in await seen] == list(range(after + 1, 1201))

    async def test_waiting_ends_when_the_head_moves_and_when_time_is_over(
        self, store: EventStore, reopen: Reopen
    ) -> None:
        other = await reopen()
        assert await other.wait_beyond(0, timeout_s=0.05) == 0
        waiting = asyncio.create_task(other.wait_beyond(0, timeout_s=150))
        await store.append("a.b-1", [new()])
        assert await waiting == 1

    async def test_another_process_sees_everything(self, store: EventStore, reopen: Reopen) -> None:
        await store.append("a.b-1", [new(n) for n in range(3)])
        other = await reopen()
        assert await collect(other.read_all()) == await collect(store.read_all())
        assert (await other.append("a.b-1", [new()], expected=3)).position == 4

    async def test_a_closed_store_says_so(self, reopen: Reopen) -> None:
        store = await reopen()
        await store.close()
        with pytest.raises(Unavailable, match="closed"):
            await store.append("a.b-1", [new()])
        for question in (store.head(), store.find("x"), collect(store.read_all()), collect(store.read_stream("a.b-1"))):
            with pytest.raises(Unavailable, match="closed"):
                await question
