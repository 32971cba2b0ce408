"""A file of what other services told that matters here, kept together with how far it was read."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.bus.source import PoisonEvent
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import StoredEvent

_HISTORY = "CREATE TABLE IF NOT EXISTS history (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL);"


class InboxFile(ABC):
    """A small SQLite file, used in the event loop's thread.

    What it holds belongs to one `history` of the log; for another one it begins again. Subclasses name their `tables`
    and the `schema` that makes them, and keep what an event tells.
    """

    consumer: str
    what: str
    schema: str
    tables: tuple[str, ...]

    def __init__(self, path: Path, history: str) -> None:
        self._listeners: list[Callable[[], None]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            # All of this can be read from the topics again; the position goes with it.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(self.schema + _HISTORY)
            self.progress = SqliteProgress(self._db, self.consumer)
            self._belong_to(history)
        except sqlite3.Error as error:
            raise Unavailable(f"{self.what} in {path} cannot be used: {error}") from error

    def _belong_to(self, history: str) -> None:
        if self._db.execute("SELECT id FROM history").fetchone() == (history,):
            return
        self._db.execute("BEGIN IMMEDIATE")
        for table in (*self.tables, "history"):
            self._db.execute(f"DELETE FROM {table}")
        self.progress.forget()
        self._db.execute("INSERT INTO history VALUES (1, ?)", (history,))
        self._db.execute("COMMIT")

    async def handle(self, events: Sequence[StoredEvent], progress: Progress) -> None:
        """Keep what matters, with the position; raises PoisonEvent for an event that cannot be read."""
        kept = 0
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for event in events:
                kept += self._kept(event)
            self.progress.save(progress)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        if kept:
            for listener in self._listeners:
                listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    async def closed(self) -> None:
        """The same, for who awaits what is closed."""
        self.close()

    def _kept(self, event: StoredEvent) -> bool:
        try:
            return self._keep(event)
        except msgspec.MsgspecError as error:
            raise PoisonEvent(event, f"its payload cannot be read: {error}") from error

    @abstractmethod
    def _keep(self, event: StoredEvent) -> bool:
        """Write down what matters of an event; whether anything did."""
