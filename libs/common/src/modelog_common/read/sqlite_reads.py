"""Reads of an SQLite file, each done whole by one thread: the ways to a thread and back cost more than most of them.

The asynchronous driver goes there for every step of a read, some six times, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Executable, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from modelog_common.events.worker import Worker

# So many reads of one file go on at once.
THREADS = 4


class Reader:
    """A thread, and how many reads it was given and has done; each number is written by one side only."""

    def __init__(self, number: int) -> None:
        self.worker = Worker(f"reads-{number}")
        self.given = self.done = 0

    @property
    def waiting(self) -> int:
        return self.given - self.done


class Reads:
    """Reads beside an engine that writes; what it committed is seen."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers: list[Reader] = []

    async def rows(self, statement: Executable) -> Sequence[Any]:
        """The rows of one query; raises what SQLAlchemy does. Who is cancelled does not wait for its end."""
        reader = self._free()
        reader.given += 1

        def read() -> Sequence[Any]:
            try:
                with self._engine.connect() as connection:
                    return connection.execute(statement).all()
            finally:
                reader.done += 1

        return await reader.worker.run(read)

    def _free(self) -> Reader:
        """One that has nothing to do, if there is or may be one; else the one with the least."""
        free = min(self._readers, key=lambda reader: reader.waiting, default=None)
        if free is None or (free.waiting and len(self._readers) < THREADS):
            free = Reader(len(self._readers))
            self._readers.append(free)
        return free

    def close(self, _engine: object = None) -> None:
        """Let go of the file, once what is being read was read."""
        readers, self._readers = self._readers, []
        for reader in readers:
            reader.worker.stop()
        self._engine.dispose()


_reads: WeakKeyDictionary[Engine, Reads] = WeakKeyDictionary()


def read_beside(engine: AsyncEngine, on_connect: Any) -> None:
    """Give an engine of an SQLite file its reads; `on_connect` is done with each of their connections."""
    beside = create_engine(
        engine.url.set(drivername="sqlite"), connect_args={"check_same_thread": False}, pool_size=THREADS
    )
    event.listen(beside, "connect", on_connect)
    reads = _reads[engine.sync_engine] = Reads(beside)
    event.listen(engine.sync_engine, "engine_disposed", reads.close)


def reads_of(engine: AsyncEngine) -> Reads | None:
    """The reads of an engine, if it has some: the databases that are servers have none."""
    return _reads.get(engine.sync_engine)
