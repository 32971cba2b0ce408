"""Curves from one store into another: for backups, and when a platform's curves move to a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from modelog_common.stores.curves import CurveStore
from modelog_common.stores.curves.sqlite import SqliteCurveStore

AT_ONCE = 200


async def copy_curves(source: CurveStore, target: CurveStore) -> None:
    """Give `target` what it lacks: a batch whose request it has is there already."""
    waiting: dict[str, int] = {}
    for batch in await source.unsealed():
        waiting.setdefault(batch.run, batch.number)
    for run, last in await source.runs():
        for first in range(1, last + 1, AT_ONCE):
            batches = await source.batches(run, first, min(last, first + AT_ONCE - 1))
            await asyncio.gather(*(target.append(b.run, b.tenant, b.author, b.request, b.block) for b in batches))
        await target.seal(run, waiting.get(run, last + 1) - 1)


async def take_over(file: Path, curves: CurveStore) -> None:
    """Move the curves of a file, if it is there, into a store; the file is then called *.moved.

    It is there when the platform kept its curves in files before, or was restored from a backup.
    """
    if not await asyncio.to_thread(file.is_file):
        return
    source = SqliteCurveStore(file)
    try:
        await copy_curves(source, curves)
    finally:
        await source.close()
    await asyncio.to_thread(file.rename, file.with_name(f"{file.name}.moved"))
