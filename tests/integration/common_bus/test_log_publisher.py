"""A durable log of batches reaches its topic: the relay's loop without an event store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from bus_support import header, read_raw, running, until
from modelog_common.bus.envelope import LogEntry
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.leases import Lease, Published, Reached, SqliteRelayProgress
from modelog_common.bus.publisher import LogPublisher
from modelog_common.bus.topics import Family, Topic
from modelog_common.domain.errors import Unavailable


class Spool:
    """A log in memory of which the first entries were dropped."""

    name, history = "/spool/1", "of-today"

    def __init__(self, first: int, last: int) -> None:
        self.entries = [LogEntry("acme", n, b"k", b"%d" % n, {"kind": "batch"}) for n in range(first, last + 1)]

    async def read(self, after: int, limit: int) -> Sequence[LogEntry]:
        return [e for e in self.entries if e.position > after][:limit]

    async def wait(self, after: int, timeout_s: float) -> None:
        await asyncio.sleep(min(timeout_s, 0.01))

    async def head(self) -> int:
        return self.entries[-1].position


async def test_a_log_is_published_from_what_is_retained(
    broker: str, bus: KafkaBroker, topic: Topic, topics: Family, tmp_path: Path
) -> None:
    spool = Spool(41, 1300)
    publisher = LogPublisher(spool, topics, bus, SqliteRelayProgress(tmp_path / "p.db"), batch=100)
    async with running(publisher.run()):
        await until(lambda: publisher.position == 1300 and publisher.state == "idle", "everything is published")
    raw = await asyncio.to_thread(read_raw, broker, topic.name, 1260)
    assert [m.value() for m in raw] == [e.value for e in spool.entries]
    assert [header(m, "ce_previous") for m in raw[:3]] == ["0", "41", "42"]
    assert header(raw[0], "ce_source") == "/spool/1"
    assert header(raw[0], "kind") == "batch"


async def test_progress_of_another_incarnation_does_not_count(
    broker: str, bus: KafkaBroker, topic: Topic, topics: Family, tmp_path: Path
) -> None:
    progress = SqliteRelayProgress(tmp_path / "p.db")
    lease = await progress.acquire("/spool/1@of-today", "before", 0.0)
    assert lease is not None
    await progress.save(lease, Reached(9, {topic.name: Published("of an older topic", 9)}))
    publisher = LogPublisher(Spool(1, 10), topics, bus, progress)
    async with running(publisher.run()):
        await until(lambda: publisher.state == "idle", "everything is published")
    raw = await asyncio.to_thread(read_raw, broker, topic.name, 10)
    assert [m.value() for m in raw] == [b"%d" % n for n in range(1, 11)]
    saved = await progress.load("/spool/1@of-today")
    assert saved.covered == 10
    assert saved.topics[topic.name].position == 10
    assert saved.topics[topic.name].incarnation != "of an older topic"
    await progress.close()


class LeavingProgress(SqliteRelayProgress):
    """Its database goes away just before the lease can be given back."""

    async def release(self, lease: Lease) -> None:
        raise Unavailable("the database went away")


async def test_a_publisher_ends_though_it_cannot_give_the_lease_back(
    bus: KafkaBroker, topics: Family, tmp_path: Path
) -> None:
    publisher = LogPublisher(Spool(1, 10), topics, bus, LeavingProgress(tmp_path / "p.db"))
    publishing = asyncio.create_task(publisher.run())
    await until(lambda: publisher.state == "idle", "everything is published")
    publishing.cancel()
    ended, _ = await asyncio.wait([publishing], timeout=150)
    assert publishing in ended
    assert publishing.cancelled()


async def test_a_progress_file_that_cannot_be_used_is_waited_for_and_named(
    bus: KafkaBroker, topics: Family, tmp_path: Path
) -> None:
    (tmp_path / "p.db").write_bytes(b"not a database" * 100)
    progress = SqliteRelayProgress(tmp_path / "p.db")
    with pytest.raises(Unavailable, match=r"p\.db cannot be used: file is not a database"):
        await progress.load("/spool/1@of-today")
    publisher = LogPublisher(Spool(1, 2), topics, bus, progress)
    async with running(publisher.run()):
        await until(lambda: publisher.state.startswith("waiting: the progress of the relay"), "the state says so")
        (tmp_path / "p.db").unlink()
        await until(lambda: publisher.state == "idle", "publishing after the file was mended")
    await progress.close()
