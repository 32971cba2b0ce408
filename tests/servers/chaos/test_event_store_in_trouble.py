"""PostgreSQL killed and restarted, and cut off from its writers: what was acknowledged is there, once, in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from dropping_proxy import DroppingProxy
from event_store_suite import collect, new
from modelog_common.domain.errors import Unavailable
from modelog_common.events import postgres_link
from modelog_common.events.postgres import PostgresEventStore
from modelog_common.events.store import NewEvent, StoredEvent
from real_servers import PostgresServer

WRITERS = 8
MORE = 100
PATIENCE_S = 150
COMMAND_S = 2.0
T = TypeVar("T")


class Storm:
    """Writers that append, and append the same events again until they are told that they are there; and a reader."""

    def __init__(self, store: PostgresEventStore) -> None:
        self._store = store
        self._over = False
        self.acknowledged: dict[str, int] = {}
        self.refused = 0
        self.seen: list[StoredEvent] = []

    @asynccontextmanager
    async def raging(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self._read())
            writers = [group.create_task(self._write(n)) for n in range(WRITERS)]
            yield
            self._over = True
            await asyncio.gather(*writers)
            await until("the reader has seen everything", lambda: len(self.seen) >= len(self.acknowledged))
            reader.cancel()

    async def _write(self, writer: int) -> None:
        version = 0
        while not self._over:
            event = new(version)
            appended = await self._told(f"storm.s-{writer}", event, version)
            version += 1
            assert appended.version == version
            self.acknowledged[event.id] = appended.position

    async def _told(self, stream: str, event: NewEvent, expected: int) -> object:
        while True:
            try:
                return await self._store.append(stream, [event], expected=expected)
            except Unavailable:
                self.refused += 1
                await asyncio.sleep(0)

    async def _read(self) -> None:
        while True:
            after = self.seen[-1].position if self.seen else 0
            try:
                async for event in self._store.subscribe(after=after):
                    self.seen.append(event)
            except Unavailable:
                await asyncio.sleep(0)

    async def goes_on(self) -> None:
        """Wait until every writer together has been acknowledged some more, and the reader has seen as much."""
        wanted = len(self.acknowledged) + MORE
        await until("appends are acknowledged", lambda: len(self.acknowledged) >= wanted)
        await until("the reader follows", lambda: len(self.seen) >= wanted)

    def check(self, stored: list[StoredEvent]) -> None:
        assert [e.position for e in stored] == list(range(1, len(stored) + 1))
        assert {e.id: e.position for e in stored} == self.acknowledged
        assert self.seen == stored


async def until(what: str, condition: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:g} s"
        await asyncio.sleep(0.02)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """A busy machine may take longer than COMMAND_S, also where nothing is cut."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(Unavailable):
                return await ask()


async def test_the_database_is_killed_and_restarted(postgres: PostgresServer) -> None:
    store = await PostgresEventStore.open(postgres.create_database())
    storm = Storm(store)
    async with storm.raging():
        for stop in (postgres.kill, postgres.stop, postgres.kill):
            await storm.goes_on()
            await asyncio.to_thread(stop)
            await until("an append is refused", lambda before=storm.refused: storm.refused > before)  # type: ignore[misc]
            await asyncio.to_thread(postgres.start)
            await storm.goes_on()
    storm.check([e async for e in store.read_all()])
    await store.close()


async def test_the_network_between_a_service_and_the_store_is_cut(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing passes and nothing is refused, as in a partition; whether an append arrived is not known meanwhile."""
    monkeypatch.setattr(postgres_link, "COMMAND_S", COMMAND_S)
    monkeypatch.setattr(postgres_link, "CONNECT_S", COMMAND_S)
    url = postgres.create_database()
    place = urlsplit(url)
    assert place.hostname is not None
    assert place.port is not None
    proxy = DroppingProxy(place.hostname, place.port)
    await proxy.start()
    direct = await patiently(lambda: PostgresEventStore.open(url))
    store = await patiently(lambda: PostgresEventStore.open(url.replace(f":{place.port}/", f":{proxy.port}/")))
    storm = Storm(store)
    async with storm.raging():
        for hold in (proxy.hold_everything, proxy.hold_answers):
            await storm.goes_on()
            hold()
            await until("an append is refused", lambda before=storm.refused: storm.refused > before)  # type: ignore[misc]
            elsewhere = new(1)
            await patiently(lambda event=elsewhere: direct.append("elsewhere.s-1", [event]))  # type: ignore[misc]
            proxy.cut(refuse=False)
            await storm.goes_on()
    stored = await patiently(lambda: collect(direct.read_all()))
    storm.acknowledged |= {e.id: e.position for e in stored if e.stream == "elsewhere.s-1"}
    storm.check(stored)
    for closing in (store, direct):
        await closing.close()
    await proxy.close()
