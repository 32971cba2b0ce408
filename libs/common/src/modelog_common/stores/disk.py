"""What the stores in local folders share: work on a thread, errors that name the folder, names that are durable."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from modelog_common.domain.errors import Unavailable

T = TypeVar("T")
FIRST_NAME = ".incoming-"
# So much may wait while what came before is hashed and written.
MOST_WAITING_BYTES = 8 << 20
# So much at a time is on its way to the disk while more comes: the end need not wait for all of it.
SYNC_BYTES = 64 << 20


async def on_disk(folder: Path, what: str, work: Callable[[], T]) -> T:
    """Do what waits for the disk; raises Unavailable, which says what the folder is for."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        full = "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "cannot be used"
        raise Unavailable(f"the {what} {folder} {full}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep(file: BinaryIO, target: Path) -> None:
    """Give a file of `new_file` its name, when its bytes are on the disk; the folder is the caller's to sync."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(file.name, target)


@dataclass(frozen=True)
class Incoming:
    """Bytes that came, under a first name, and their SHA-256."""

    file: BinaryIO
    digest: str
    size_bytes: int

    def keep(self, target: Path) -> None:
        """Give the file its name."""
        keep(self.file, target)


@asynccontextmanager
async def incoming(
    folder: Path, what: str, opened: Callable[[], BinaryIO], chunks: AsyncIterable[bytes]
) -> AsyncIterator[Incoming]:
    """What came, in a file that `opened` gives; it goes when the block ends unless it was kept.

    Raises Unavailable as `on_disk` does, and what `chunks` raises.
    """
    file = await on_disk(folder, what, opened)
    writing = _Writing(file, partial(on_disk, folder, what))
    try:
        async for chunk in chunks:
            await writing.take(chunk)
        yield await writing.ended()
    finally:
        await writing.settled()
        await asyncio.to_thread(discard, file)


class _Writing:
    """Hashes and writes what came while more comes, and has the disk take it meanwhile."""

    def __init__(self, file: BinaryIO, on_disk: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._file, self._on_disk = file, on_disk
        self._hashed, self._size, self._synced = hashlib.sha256(), 0, 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        # At most one of each is under way.
        self._write: asyncio.Task[None] | None = None
        self._sync: asyncio.Task[None] | None = None

    async def take(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._waiting.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._write is None or self._write.done() or self._waiting_bytes >= MOST_WAITING_BYTES:
            await _outcome(self._write)
            self._begin()

    async def ended(self) -> Incoming:
        """Everything is written and hashed."""
        await _outcome(self._write)
        self._begin()
        for task in (self._write, self._sync):
            await _outcome(task)
        return Incoming(self._file, self._hashed.hexdigest(), self._size)

    async def settled(self) -> None:
        """Nothing is at work with the file any more, however it went."""
        tasks = [task for task in (self._write, self._sync) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self) -> None:
        pieces, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._write = asyncio.create_task(_awaited(self._on_disk(lambda: self._written(pieces))))
        if self._size - self._synced >= SYNC_BYTES and (self._sync is None or self._sync.done()):
            if self._sync is not None:
                # The kernel tells once of what it could not write; the next call would say that all is well.
                self._sync.result()
            self._synced = self._size
            self._sync = asyncio.create_task(_awaited(self._on_disk(lambda: os.fdatasync(self._file.fileno()))))

    def _written(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._hashed.update(piece)
            self._file.write(piece)


async def _awaited(work: Awaitable[None]) -> None:
    await work


async def _outcome(task: asyncio.Task[None] | None) -> None:
    """Wait for a task, and raise what it raised; whoever waits may be cancelled without it."""
    if task is not None:
        await asyncio.wait([task])
        task.result()


def new_file(folder: Path) -> BinaryIO:
    """A file in a folder that has no name yet by which it is found; locked for as long as it is open."""
    while True:
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=FIRST_NAME, delete=False)  # noqa: SIM115 - the caller closes it
        fcntl.flock(file, fcntl.LOCK_EX)
        # `remove_abandoned` may have come between the two.
        if os.fstat(file.fileno()).st_nlink:
            return file  # type: ignore[return-value]
        file.close()


def remove_abandoned(folder: Path) -> int:
    """Remove, in a folder and in those directly in it, what killed processes were writing; returns how many files."""
    removed = 0
    for path in [*folder.glob(f"{FIRST_NAME}*"), *folder.glob(f"*/{FIRST_NAME}*")]:
        # Whoever still writes it holds the lock; and what cannot be removed is in nobody's way.
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
    return removed


def discard(file: BinaryIO) -> None:
    """Close the file and remove it under its first name, which it no longer has when it was kept."""
    with suppress(OSError):  # closing writes what is buffered, which a full disk refuses again
        file.close()
    Path(file.name).unlink(missing_ok=True)
