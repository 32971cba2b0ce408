"""Learns of commits in a PostgreSQL event store: by notification at once, and by a slow poll whatever is lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from modelog_common.domain.errors import Unavailable
from modelog_common.events.postgres_link import ERRORS, PostgresLink
from modelog_common.events.postgres_schema import CHANNEL, SCHEMA

POLL_S = 2.0
RECONNECT_S = 0.5
_HEAD = f"SELECT {SCHEMA}.head($1)"


class CommitWatch:
    """One connection that listens, for all who wait in this process; it is opened when the first one waits."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link
        self._known = 0
        # What is up to here is durable, unless a connection was lost since: another server may answer now.
        self._durable, self._losses = 0, link.losses
        self._moved = asyncio.Event()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    async def head(self) -> int:
        """The last position, once it is durable."""
        return await self._link.run(self._ask)

    async def wait_until_durable(self, position: int) -> None:
        """Events can be seen a moment before they are: a crash could still take them back."""
        if position > self._durable_now():
            await self.head()

    def note_durable(self, position: int) -> None:
        """What is up to this position is on the disk."""
        self._durable, self._losses = max(self._durable_now(), position), self._link.losses

    def _durable_now(self) -> int:
        return self._durable if self._losses == self._link.losses else 0

    async def _ask(self, connection: Any) -> int:
        head = int(await connection.fetchval(_HEAD, self._durable_now()))
        self.note_durable(head)
        return head

    async def wait_beyond(self, position: int, timeout_s: float) -> int:
        """Wait until the head is above `position` or the time is over; returns the head."""
        deadline = time.monotonic() + timeout_s
        if self._known > position:
            return self._known
        self._keep_listening()
        head = await self.head()
        while True:
            # No turn of the loop passes between this look and the wait, so no notification is lost in between.
            moved, head = self._moved, max(head, self._known)
            remaining = deadline - time.monotonic()
            if head > position or remaining <= 0:
                return head
            try:
                async with asyncio.timeout(remaining):
                    await moved.wait()
            except TimeoutError:
                return max(head, await self.head())
            if self._closed:
                raise Unavailable("the event store is closed")

    def _keep_listening(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._listen(), name="event store watch")

    async def _listen(self) -> None:
        while not self._closed:
            try:
                connection = await self._link.connect()
            except Unavailable:
                # Whoever waits asks for the head too, and is told.
                await asyncio.sleep(RECONNECT_S)
                continue
            try:
                await self._follow(connection)
            finally:
                connection.terminate()

    async def _follow(self, connection: Any) -> None:
        """Until the connection dies. What is known starts afresh: the database may have been set back to a backup."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.add_listener(CHANNEL, self._notified)
            self._known = 0
            while not lost.is_set():
                self._advance(await self._ask(connection))
                try:
                    async with asyncio.timeout(POLL_S):
                        await lost.wait()
                except TimeoutError:
                    continue
        except ERRORS:
            await asyncio.sleep(RECONNECT_S)
        finally:
            self._link.losses += 1

    def _notified(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        self.note_durable(int(payload))
        self._advance(int(payload))

    def _advance(self, head: int) -> None:
        if head > self._known:
            self._known = head
            self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def close(self) -> None:
        """Stop listening; whoever waits is told."""
        self._closed = True
        self._wake()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
