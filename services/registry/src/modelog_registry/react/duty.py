"""Work that one process does at a time: the one that holds a lease, while others stand by."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from modelog_common.bus.leases import Lease, LeaseLost, RelayProgress, this_process
from modelog_common.domain.errors import Unavailable, first_of

LEASE_S = 5.0
RETRY_S = 1.0
Work = Callable[[], Awaitable[None]]
log = structlog.get_logger()


class Duty:
    """`name` is the same for all processes that take turns."""

    def __init__(self, name: str, leases: RelayProgress, work: Work) -> None:
        self._name, self._leases, self._work = name, leases, work
        self._owner = this_process()

    async def run(self) -> None:
        """Work whenever it is this process's turn, until cancelled; parts that are away are waited for."""
        try:
            while True:
                try:
                    await self._turn()
                except* LeaseLost as lost:
                    log.warning("another process has taken over", work=self._name, why=str(first_of(lost)))
                except* Unavailable as error:
                    log.warning("waiting", work=self._name, why=str(first_of(error)))
                    await asyncio.sleep(RETRY_S)
                except* Exception:
                    # What went wrong is tried again: it stops this work, and not the registry.
                    log.exception("work failed", work=self._name)
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._leases.close()

    async def _turn(self) -> None:
        lease = await self._leases.acquire(self._name, self._owner, LEASE_S)
        if lease is None:
            await asyncio.sleep(LEASE_S / 5)
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep(lease))
                group.create_task(_started(self._work))
        finally:
            # When it cannot be told, the lease ends by itself; an error here would take a cancellation's place.
            with suppress(Unavailable):
                await self._leases.release(lease)

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            await self._leases.renew(lease, LEASE_S)


async def _started(work: Work) -> None:
    await work()
