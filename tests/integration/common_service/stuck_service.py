"""A service as a process of its own, one piece of whose work fails while another will not end."""

from __future__ import annotations

import asyncio

import modelog_common.background
from modelog_common.service import Host, main

modelog_common.background.END_S = 0.2
is_deaf = asyncio.Event()


async def fails() -> None:
    await is_deaf.wait()
    raise ValueError("the defect")


async def deaf() -> None:
    is_deaf.set()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def build(host: Host) -> None:
    host.background("deaf", deaf)
    host.background("fails", fails)


if __name__ == "__main__":
    main("registry", build)
