"""Bodies of large batches: they lie in files beside the prediction log's database, where each byte is written once.

SQLite sums up what it is given, writes it into its WAL and copies it from there to its place. The files of the folder
`<path>.bodies` are appended to, one after the other; the database has file, place, size and CRC-32 of each body, and
how far each file goes. What lies behind that was not committed, and is overwritten. A body is written before the
transaction that names it ends, so that `kill -9` leaves none that is named and not there; a power failure may take the
last ones, as it may take the last commits: `lost` finds them, and those whose file somebody took away.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from modelog_common.stores.disk import sync_folder

# One file has no more than this, but for a body that is larger by itself: what is dropped gives back whole files.
FILE_BYTES = 64 << 20
# Smaller ones are put into the database, where they cost less than a file would.
BESIDE_BYTES = 32 << 10
SCHEMA = """
CREATE TABLE IF NOT EXISTS body_file (number INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, batches INTEGER NOT NULL)
"""


class Full(sqlite3.OperationalError):
    """There is no room for a body: as SQLite says it of what is in its own file."""

    sqlite_errorcode = sqlite3.SQLITE_FULL

    def __init__(self) -> None:
        super().__init__("database or disk is full")


class Gone(sqlite3.OperationalError):
    """A batch or its body was dropped while it was looked for."""


class Place(NamedTuple):
    """Where a body lies. In file 0 there is none: those bodies are in the database."""

    file: int = 0
    at: int = 0
    size_bytes: int = 0
    crc: int = 0


class BodyFiles:
    """The files beside the log `path`. Raises sqlite3.Error as the database does. Call it in one thread only."""

    def __init__(self, path: Path) -> None:
        self.folder = path.with_name(f"{path.name}.bodies")
        self.unsynced_bytes = 0
        self._current, self._handle = 0, -1
        self._dropped: list[int] = []

    def write(self, number: int, at: int, parts: Sequence[Any]) -> Place:
        """Write a body, given as buffers of bytes, at a place of a file."""
        crc = 0
        for part in parts:
            crc = zlib.crc32(part, crc)
        size_bytes = sum(map(len, parts))
        try:
            written = os.pwritev(self._opened(number), parts, at)
        except OSError as error:
            raise _told(self._file(number), error) from error
        if written != size_bytes:
            # Of a file the kernel takes less than all only where there is no room for more.
            raise Full
        self.unsynced_bytes += size_bytes
        return Place(number, at, size_bytes, crc)

    def read(self, number: int, at: int, size_bytes: int) -> bytes:
        """A body that was written; raises Gone when its file is not there any more."""
        file = self._file(number)
        try:
            handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Gone(f"{file} is not there") from None
        except OSError as error:
            raise _told(file, error) from error
        try:
            found = os.pread(handle, size_bytes, at)
        except OSError as error:
            raise _told(file, error) from error
        finally:
            os.close(handle)
        if len(found) != size_bytes:
            raise sqlite3.OperationalError(f"{file} ends before byte {at + size_bytes}")
        return found

    def holds(self, place: Place) -> bool:
        """Whether a body is there as it was written."""
        try:
            return zlib.crc32(self.read(place.file, place.at, place.size_bytes)) == place.crc
        except sqlite3.Error:
            return False

    def size_bytes(self, number: int) -> int:
        """Of a file; 0 when it is not there."""
        file = self._file(number)
        try:
            return file.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise _told(file, error) from error

    def sync(self) -> None:
        """See to it that what was written is on the disk."""
        if self.unsynced_bytes:
            try:
                os.fdatasync(self._handle)
            except OSError as error:
                raise _told(self._file(self._current), error) from error
            self.unsynced_bytes = 0

    def drop(self, numbers: Sequence[int]) -> None:
        """Remove these files once the transaction that is under way has ended: `ended` is to be told."""
        self._dropped += numbers

    def ended(self, committed: bool) -> None:
        """Of the transaction in which files were dropped."""
        dropped, self._dropped = self._dropped, []
        for number in dropped if committed else ():
            if number == self._current:
                self.close()
            # What cannot be removed now is when the log is opened the next time.
            with suppress(OSError):
                self._file(number).unlink()

    def numbers(self) -> list[int]:
        """Those of the files that are there."""
        return sorted(int(file.name) for file in self.folder.glob("*") if file.name.isdecimal())

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._current, self._handle, self.unsynced_bytes = 0, -1, 0

    def _opened(self, number: int) -> int:
        if number != self._current:
            self.sync()
            self.close()
            self.folder.mkdir(exist_ok=True)
            handle = os.open(self._file(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._current, self._handle = number, handle
            for folder in (self.folder, self.folder.parent):
                sync_folder(folder)
        return self._handle

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:010}"


class Connection(sqlite3.Connection):
    """A connection to the log's database, with what lies beside it."""

    def __init__(self, database: Any, *more: Any, **named: Any) -> None:
        super().__init__(database, *more, **named)
        self.beside: BodyFiles

    def close(self) -> None:
        self.beside.close()
        super().close()


def connected(path: Path, database: str | Path, **named: Any) -> Connection:
    """A connection to `database`, the log's file `path` by whatever name."""
    db = sqlite3.connect(
        database, isolation_level=None, check_same_thread=False, timeout=30, factory=Connection, **named
    )
    db.beside = BodyFiles(path)
    return db


def put(db: Connection, parts: Sequence[Any], most_file_bytes: int) -> Place:
    """Append a body to the files, in a transaction of the writer's."""
    size_bytes = sum(map(len, parts))
    last = db.execute("SELECT number, bytes FROM body_file ORDER BY number DESC LIMIT 1").fetchone()
    number, at = last or (1, 0)
    if at and at + size_bytes > most_file_bytes:
        number, at = number + 1, 0
    place = db.beside.write(number, at, parts)
    db.execute(
        "INSERT INTO body_file VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET bytes = excluded.bytes, "
        "batches = batches + 1",
        (number, at + size_bytes),
    )
    return place


def forget(db: Connection, files: Sequence[int]) -> None:
    """Batches are taken away, whose bodies are in these files, in a transaction: empty files are dropped with it."""
    gone = Counter(number for number in files if number)
    db.executemany(
        "UPDATE body_file SET batches = batches - ? WHERE number = ?",
        [(count, number) for number, count in gone.items()],
    )
    last = db.execute("SELECT number, bytes, batches FROM body_file ORDER BY number DESC LIMIT 1").fetchone()
    if last is not None and last[1] and not last[2]:
        # The last one stays, so that no number comes again. Here it is one without a file.
        db.execute("INSERT INTO body_file VALUES (?, 0, 0)", (last[0] + 1,))
    empty = db.execute(
        "SELECT number FROM body_file WHERE batches = 0 AND number < (SELECT max(number) FROM body_file)"
    )
    numbers = [number for (number,) in empty.fetchall()]
    db.executemany("DELETE FROM body_file WHERE number = ?", [(number,) for number in numbers])
    db.beside.drop(numbers)


def size_bytes(db: sqlite3.Connection) -> int:
    """Of all files together."""
    (total,) = db.execute("SELECT coalesce(sum(bytes), 0) FROM body_file").fetchone()
    return int(total)


def left_over(db: Connection) -> None:
    """Remove the files that a process which was killed had dropped and not removed yet."""
    known = {number for (number,) in db.execute("SELECT number FROM body_file")}
    db.beside.drop([number for number in db.beside.numbers() if number < max(known, default=0) and number not in known])
    db.beside.ended(committed=True)


def lost(db: Connection, after: int, gone: Callable[[int], None]) -> int:
    """Tell `gone` of each batch whose body is not as it was written; how many there are.

    Looked at are those above a sequence, and all in files that are not there, or shorter than they were.
    """
    ends = db.execute("SELECT number, bytes FROM body_file WHERE batches > 0").fetchall()
    short = ",".join([str(number) for number, end in ends if db.beside.size_bytes(number) < end])
    rows = db.execute(
        f"SELECT sequence, file, place, size, crc FROM batch WHERE file > 0 AND (sequence > ? OR file IN ({short}))",
        (after,),
    )
    found = [(sequence, place) for sequence, *of in rows.fetchall() if not db.beside.holds(place := Place(*of))]
    for sequence, _ in found:
        gone(sequence)
    forget(db, [place.file for _, place in found])
    return len(found)


def _told(file: Path, error: OSError) -> sqlite3.OperationalError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Full()
    return sqlite3.OperationalError(f"{file}: {error.strerror}")
