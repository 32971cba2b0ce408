"""Reading the events of an SQLite store file, offline and without trusting or changing it.

The file may have been altered by anyone who had access to it, so every value's type is checked, a damaged
page is an UnreadableStore, and nothing but the plain table `events` is read.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Optional, Union

from .errors import InvalidEvent, UnreadableStore, printable
from .leaf import FIELDS, EventRecord, leaf_bytes

_COLUMNS = ", ".join(name for name, _ in FIELDS)
_MAX_FINDINGS = 5
# The sqlite3 module decodes SQLite's own messages too, and those may quote a damaged name.
_DAMAGE = (sqlite3.Error, UnicodeDecodeError)


class EventStoreFile:
    """One consistent view of a store file, opened read-only; use it as a context manager.

    A write-ahead log (`<file>-wal`) beside the file is part of the store and is read too; SQLite may then
    create `<file>-shm`. Without one the file is opened as immutable, and nothing is created beside it.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self.path = Path(path)
        self._connection: Optional[sqlite3.Connection] = None

    def __enter__(self) -> "EventStoreFile":
        """Raises UnreadableStore when there is no file, or it is no event store."""
        if not self.path.is_file():
            raise UnreadableStore(f"There is no file {self.path}.")
        try:
            self._connection = sqlite3.connect(_uri(self.path), uri=True, isolation_level=None)
            self._connection.text_factory = _text
            _prepare(self._connection)
        except _DAMAGE as error:
            self._close()
            raise UnreadableStore(f"{self.path} cannot be read as an SQLite event store: {error}.") from error
        except UnreadableStore:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._close()

    def events(self) -> Iterator[EventRecord]:
        """The events in order of position. Raises UnreadableStore at the first row that is not an event."""
        last = 0
        try:
            for row in self._open().execute(f"SELECT {_COLUMNS} FROM events ORDER BY position"):
                record = EventRecord(*row)
                _check(record, last)
                last = record.position
                yield record
        except _DAMAGE as error:
            raise UnreadableStore(f"The file is damaged after position {last}: {error}.") from error

    def damage(self) -> list[str]:
        """What SQLite finds wrong in the pages of the table and its indexes; empty when nothing is.

        An index that disagrees with its table would show a service other events than were verified.
        """
        try:
            rows = self._open().execute("PRAGMA integrity_check(events)").fetchmany(_MAX_FINDINGS)
        except _DAMAGE as error:
            return [printable(str(error))]
        return [printable(finding) for (finding,) in rows if finding != "ok"]

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise UnreadableStore(f"{self.path} is not open: use it in a with statement.")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _uri(path: Path) -> str:
    # Immutable ignores journals: only right when there are none, see https://www.sqlite.org/uri.html#uriimmutable
    journals = [path.with_name(path.name + suffix) for suffix in ("-wal", "-journal")]
    mode = "mode=ro" if any(journal.exists() for journal in journals) else "mode=ro&immutable=1"
    return f"{path.resolve().as_uri()}?{mode}"


def _prepare(connection: sqlite3.Connection) -> None:
    # The defence against hostile files of https://www.sqlite.org/security.html#untrusted_sqlite_database_files
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    row = connection.execute("SELECT type, rootpage FROM sqlite_master WHERE name = 'events'").fetchone()
    if row is None:
        raise UnreadableStore("The file has no table named events: it is not an event store, or it was damaged.")
    if row[0] != "table" or not row[1]:
        raise UnreadableStore(f"events is not a plain table in this file but a {row[0]}: the store was altered.")


def _text(value: bytes) -> str:
    # Invalid UTF-8 must reach `_check`, which can name the row and the column.
    return value.decode("utf-8", "surrogateescape")


def _check(record: EventRecord, last: int) -> None:
    if type(record.position) is not int:
        raise UnreadableStore(f"The row after position {last} has no integer position.", last + 1)
    if record.position <= last:
        raise UnreadableStore(
            f"Position {record.position} stands after position {last}: the file was damaged.", last + 1
        )
    try:
        leaf_bytes(record)
    except InvalidEvent as error:
        raise UnreadableStore(
            f"The event at position {record.position} was altered: {error}.", record.position
        ) from None
