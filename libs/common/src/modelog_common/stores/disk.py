"""What the stores in local folders share: work on a thread, errors that name the folder, names that are durable."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

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
