"""JSON that was made before: the same runs and models are shown again and again, and change seldom.

What is kept is found by the bytes that it was made of, so it is never out of date, and nobody gets it who was not given
those bytes by the registry. It is kept in memory only, and what nobody asks for is forgotten within two minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from modelog_common.rpc.call import current_call

# There are two halves: when the newer one is so old, the older one is forgotten. A full one takes no more.
HALF_S, HALF_BYTES = 60.0, 32 * 1024 * 1024
# What an entry takes besides its bytes.
ENTRY_BYTES = 300
Key = tuple[str, str, bytes]
Make = Callable[[bytes], Awaitable[dict[str, Any]]]
encode = msgspec.json.Encoder().encode


class Shown:
    """JSON by what it shows."""

    def __init__(self, half_s: float = HALF_S, half_bytes: int = HALF_BYTES) -> None:
        self._half_s, self._half_bytes = half_s, half_bytes
        self._newer: dict[Key, msgspec.Raw] = {}
        self._older: dict[Key, msgspec.Raw] = {}
        self._bytes = 0
        self._turning: asyncio.TimerHandle | None = None

    async def each(self, kind: str, encoded: Iterable[bytes], make: Make) -> list[msgspec.Raw]:
        """The JSON of each of these; `make` gives the object for what is not kept, as the caller's tenant sees it."""
        tenant = current_call().identity.tenant
        found = []
        for one in encoded:
            key = (tenant, kind, one)
            json = self._newer.get(key)
            if json is None:
                json = self._older.get(key)
                if json is None:
                    json = msgspec.Raw(encode(await make(one)))
                self._keep(key, json)
            found.append(json)
        return found

    @property
    def kept(self) -> int:
        """How many are kept."""
        return len(self._newer) + len(self._older)

    def _keep(self, key: Key, json: msgspec.Raw) -> None:
        if self._bytes >= self._half_bytes:
            return
        self._newer[key] = json
        self._bytes += len(key[2]) + len(memoryview(json)) + ENTRY_BYTES
        if self._turning is None:
            self._turning = asyncio.get_running_loop().call_later(self._half_s, self._turn)

    def _turn(self) -> None:
        self._older, self._newer, self._bytes = self._newer, {}, 0
        self._turning = asyncio.get_running_loop().call_later(self._half_s, self._turn) if self._older else None
