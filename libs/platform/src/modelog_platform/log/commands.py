"""What the command line calls for the log, found by the entry points `modelog.platform`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from modelog_proofs import Report

from modelog_platform.commands import for_the_caller
from modelog_platform.log import transfer
from modelog_platform.log.stores import opened
from modelog_platform.log.transfer import Moved, Progress, Signed


def export_events(address: str, file: Path, first: int, until: int | None, progress: Progress) -> Moved:
    """Write a store's events into a file."""

    async def run() -> Moved:
        async with opened(address) as store:
            return await transfer.export_log(store, file, first, until, progress)

    with for_the_caller():
        return asyncio.run(run())


def import_events(address: str, file: Path, signed: Signed | None, progress: Progress) -> Moved:
    """Add a file's events to a store; `signed` is a checkpoint's note and the public key."""

    async def run() -> Moved:
        async with opened(address, make=True) as store:
            return await transfer.import_log(store, file, progress, signed=signed)

    with for_the_caller():
        return asyncio.run(run())


def verify_store_at(address: str, note: str, key: str) -> Report:
    """Hold what the store at an address gives against a signed checkpoint."""

    async def run() -> Report:
        async with opened(address) as store:
            return await transfer.verified(store, note, key, address)

    with for_the_caller():
        return asyncio.run(run())
