"""What the stores in local folders share: work on a thread, errors that name the folder, names that are durable."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from modelog_common.domain.errors import Unavailable

T = TypeVar("T")


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


@dataclass(frozen=True)
class Incoming:
    """Bytes that came, under a first name, and their SHA-256."""

    file: BinaryIO
    digest: str
    size_bytes: int

    def keep(self, target: Path) -> None:
        """Give the file its name, when its bytes are on the disk; the folder is the caller's to sync."""
        self.file.flush()
        os.fsync(self.file.fileno())
        os.replace(self.file.name, target)


@asynccontextmanager
async def incoming(
    folder: Path, what: str, opened: Callable[[], BinaryIO], chunks: AsyncIterable[bytes]
) -> AsyncIterator[Incoming]:
    """What came, in a file that `opened` gives; it goes when the block ends unless it was kept.

    Raises Unavailable as `on_disk` does, and what `chunks` raises.
    """
    file = await on_disk(folder, what, opened)
    try:
        hashed, size = hashlib.sha256(), 0
        async for chunk in chunks:
            size += len(chunk)
            await on_disk(folder, what, lambda piece=chunk: _write(file, hashed, piece))  # type: ignore[misc]
        yield Incoming(file, hashed.hexdigest(), size)
    finally:
        await asyncio.to_thread(_discard, file)


def new_file(folder: Path) -> BinaryIO:
    """A file in a folder that has no name yet by which it is found."""
    return tempfile.NamedTemporaryFile(dir=folder, prefix=".incoming-", delete=False)  # type: ignore[return-value]


def _write(file: BinaryIO, hashed: hashlib._Hash, chunk: bytes) -> None:
    hashed.update(chunk)
    file.write(chunk)


def _discard(file: BinaryIO) -> None:
    """Close the file and remove it under its first name, which it no longer has when it was kept."""
    with suppress(OSError):  # closing writes what is buffered, which a full disk refuses again
        file.close()
    Path(file.name).unlink(missing_ok=True)
