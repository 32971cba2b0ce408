"""How one task tells another that there may be something to do."""

from __future__ import annotations

import asyncio


class Bell:
    """Rung by many, heard by one. Rings while nobody listens are heard once, later."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There may be something to do. Call it in the event loop's thread."""
        self._rung.set()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Return at the next ring, at the latest after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        except TimeoutError:
            return
        self._rung.clear()
