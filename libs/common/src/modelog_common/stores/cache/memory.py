"""A cache in this process: what was used least recently goes first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from modelog_common.stores.cache import check_key, check_time

MAX_BYTES = 64 * 1024 * 1024
# What an entry takes besides its key and value, roughly.
ENTRY_BYTES = 200


class MemoryCache:
    """A Cache that holds `max_bytes` at most; `now_s` is a clock that does not go back."""

    def __init__(self, max_bytes: int = MAX_BYTES, now_s: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes, self._now_s = max_bytes, now_s
        self._entries: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """What is held now."""
        return self._bytes

    async def get(self, key: str) -> bytes | None:
        check_key(key)
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, ends_s = entry
        if ends_s is not None and ends_s <= self._now_s():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes, *, lasts_s: float | None = None) -> None:
        check_key(key)
        check_time(lasts_s)
        self._remove(key)
        self._entries[key] = (value, None if lasts_s is None else self._now_s() + lasts_s)
        self._bytes += _size(key, value)
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))

    async def drop(self, key: str) -> None:
        check_key(key)
        self._remove(key)

    async def close(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _size(key, entry[0])


def _size(key: str, value: bytes) -> int:
    return len(key.encode()) + len(value) + ENTRY_BYTES
