"""What a job printed: read from any byte on, and waited for while the job runs."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from modelog_common.domain.errors import Invalid

READ_BYTES = 1 << 18
LOOK_S = 0.1


@dataclass(frozen=True)
class LogPart:
    """Text up to `next_offset`; `complete` when the job has ended and this is all."""

    text: str
    next_offset: int
    complete: bool


async def read_log(file: Path, offset: int, ended: Callable[[], Awaitable[bool]], wait_s: float) -> LogPart:
    """A part of a log, once there is any or the job has ended, at the latest after `wait_s`.

    Raises Invalid for an offset beyond the end, which no earlier answer gave.
    """
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        # Asked before the file is read: what an ended job printed is all there.
        over = await ended()
        part = await asyncio.to_thread(_read, file, offset, over)
        if part.text or part.complete or asyncio.get_running_loop().time() >= deadline:
            return part
        await asyncio.sleep(LOOK_S)


def _read(file: Path, offset: int, ended: bool) -> LogPart:
    size = file.stat().st_size if file.exists() else 0
    if offset > size:
        raise Invalid.field("offset", f"is {offset}, but the log has {size} bytes; allowed: 0 to {size}")
    if offset == size:
        return LogPart("", offset, ended)
    with file.open("rb") as log:
        log.seek(offset)
        content = log.read(READ_BYTES)
    last = offset + len(content) >= size
    # A character whose bytes are not all there yet is left for the next part.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(content, final=ended and last)
    used = len(content) - len(decoder.getstate()[0])
    return LogPart(text, offset + used, ended and last)
