"""The points of metrics of runs on their way into a backup.

They come back by the file: a registry that keeps them on a server takes it over when it starts.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from modelog_common.adapters import curves_file, open_curves
from modelog_common.stores.curves.moving import copy_curves
from modelog_common.stores.curves.sqlite import SqliteCurveStore

from modelog_platform.log.places import Places

REGISTRY = "registry"


async def curves_out(places: Places, folder: Path) -> None:
    """Add what is on a server to the file that would hold it, beside what that one holds."""
    if not places.curves:
        return
    file = folder / curves_file(places, REGISTRY).relative_to(places.data_dir)
    await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
    source, target = open_curves(places, REGISTRY), SqliteCurveStore(file)
    try:
        await copy_curves(source, target)
    finally:
        await source.close()
        await target.close()
    await asyncio.to_thread(file.chmod, 0o600)
