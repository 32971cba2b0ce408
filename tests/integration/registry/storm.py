"""People who repeat their requests while a process is killed, and what they were told."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc
from modelog_common.domain.errors import ModelogError


@dataclass
class Storm:
    """What people wanted and what they were told."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    over: bool = False
    progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, kind: str) -> None:
        async with self.progress:
            self.acknowledged[kind] += 1
            self.progress.notify_all()

    async def more(self, count: int) -> None:
        """Wait for so many more acknowledgements."""
        target = self.acknowledged.total() + count
        async with asyncio.timeout(150), self.progress:
            await self.progress.wait_for(lambda: self.acknowledged.total() >= target)


async def until_answered(call: Any, request: Any) -> Any:
    """Repeat a request, under its own id, until somebody answers."""
    async with asyncio.timeout(150):
        while True:
            try:
                return await call(request)
            except (ModelogError, grpc.RpcError) as error:
                if type(error).__name__ not in ("Unavailable", "UsageError"):
                    raise
