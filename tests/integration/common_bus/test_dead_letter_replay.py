"""Dead letters: kept until they are handled, given back once, back on the list when they are refused again."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from bus_support import TENANT, Projection, append, in_time, relay_of, running, until
from modelog_common.bus.deadletters import DeadLetter, State
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.source import MARK, Consumer, of_events
from modelog_common.bus.topics import Family
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_common.events.sqlite import SqliteEventStore


def consumer_of(bus: KafkaBroker, topics: Family, projection: Projection) -> Consumer:
    return Consumer(bus, [topics], "replayer", projection.progress, projection.dead)


async def refused(
    bus: KafkaBroker, store: SqliteEventStore, topics: Family, projection: Projection, poison: set[bytes]
) -> list[DeadLetter]:
    """Five events of which some were refused."""
    projection.poison = poison
    await append(store, range(5))
    consumer = consumer_of(bus, topics, projection)
    async with running(relay_of(store, topics, bus).run(), consumer.run(of_events(projection.handle))):
        await in_time(consumer, topics, 5)
    return list(await projection.dead.list(TENANT, 10))


async def test_a_letter_is_handled_after_its_cause_is_mended_and_only_once(
    bus: KafkaBroker, store: SqliteEventStore, topics: Family, projection: Projection
) -> None:
    one, three = await refused(bus, store, topics, projection, {b'{"n":1}', b'{"n":3}'})
    assert (one.message.value, one.reason, one.attempts, one.state) == (
        b'{"n":1}',
        "this payload is poison",
        1,
        State.DEAD,
    )
    assert one.message.text("ce_type") == "registry.Tested"
    projection.poison = {b'{"n":3}'}
    consumer = consumer_of(bus, topics, projection)
    async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
        assert (await projection.dead.replay(one.id, TENANT, 150)).state is State.REPLAYED
        with pytest.raises(NotAllowed, match=r"was replayed at .*; that is done once"):
            await projection.dead.replay(one.id, TENANT)
        again = await projection.dead.replay(three.id, TENANT, 150)
        assert (again.state, again.attempts) == (State.DEAD, 2)
        await append(store, range(5, 8))
        await in_time(consumer, topics, 8)
    assert projection.positions() == [1, 3, 5, 2, 6, 7, 8]
    assert [d.id for d in await projection.dead.list(TENANT, 10)] == [three.id]
    assert [d.id for d in await projection.dead.list(TENANT, 10, replayed=True)] == [one.id, three.id]


async def test_a_letter_outlives_the_consumer_and_the_broker(
    fresh_broker: Any, store: SqliteEventStore, topics: Family, projection: Projection
) -> None:
    bus = KafkaBroker(fresh_broker.bootstrap)
    (letter,) = await refused(bus, store, topics, projection, {b'{"n":2}'})
    fresh_broker.restart()
    projection.poison = set()
    asking = asyncio.create_task(projection.dead.replay(letter.id, TENANT, 150))
    await until(lambda: not asking.done(), "it waits for the consumer")
    consumer = consumer_of(bus, topics, projection)
    async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
        assert (await asking).state is State.REPLAYED
    assert projection.positions() == [1, 2, 4, 5, 3]


async def test_a_letter_from_before_the_log_was_restored_is_not_handled(
    bus: KafkaBroker, store: SqliteEventStore, topics: Family, projection: Projection
) -> None:
    (letter,) = await refused(bus, store, topics, projection, {b'{"n":2}'})
    projection.poison = set()
    consumer = Consumer(bus, [topics], "replayer", projection.progress, projection.dead, history="a restored log's")
    async with running(consumer.run(of_events(projection.handle))):
        again = await projection.dead.replay(letter.id, TENANT, 150)
    assert again.state is State.DEAD
    assert again.reason.startswith("it is from before the log was restored")
    assert projection.positions() == [1, 2, 4, 5]


async def test_a_crash_after_the_handler_does_not_replay_twice(
    bus: KafkaBroker, store: SqliteEventStore, topics: Family, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler's transaction is stored, and the process dies before the list is told."""
    (letter,) = await refused(bus, store, topics, projection, {b'{"n":2}'})
    projection.poison = set()
    died = asyncio.Event()

    async def dies(_letter_id: str) -> None:
        died.set()
        await asyncio.Event().wait()

    asking = asyncio.create_task(projection.dead.replay(letter.id, TENANT, 150))
    with monkeypatch.context() as crash:
        crash.setattr(projection.dead, "handled", dies)
        async with running(consumer_of(bus, topics, projection).run(of_events(projection.handle))):
            await died.wait()
    assert projection.positions() == [1, 2, 4, 5, 3]
    saved = await projection.progress.load(letter.message.topic, 0)
    assert saved is not None
    assert saved.positions[f"{MARK}{letter.id}"] == 0
    async with running(consumer_of(bus, topics, projection).run(of_events(projection.handle))):
        assert (await asking).state is State.REPLAYED
    assert projection.positions() == [1, 2, 4, 5, 3]


async def test_another_tenant_neither_sees_nor_replays_it(
    bus: KafkaBroker, store: SqliteEventStore, topics: Family, projection: Projection
) -> None:
    (letter,) = await refused(bus, store, topics, projection, {b'{"n":2}'})
    assert await projection.dead.list("other", 10) == []
    for asked in (projection.dead.get(letter.id, "other"), projection.dead.replay(letter.id, "other")):
        with pytest.raises(NotFound, match="there is no dead letter"):
            await asked


async def test_letters_are_forced_to_the_disk(projection: Projection, tmp_path: Path) -> None:
    async with projection.dead._tables._engine.connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2
    assert sqlite3.connect(tmp_path / "projection.dead").execute("PRAGMA journal_mode").fetchone() == ("wal",)
