"""A service that is too busy to greet at once is waited for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from modelog_proto.registry.v1 import model_pb2

# Longer than the longest pause between attempts to connect.
BUSY_S = 1.3


async def test_a_service_that_takes_its_time_to_greet_is_not_given_up(served: Any) -> None:
    """All is passed on to the service, but each connection only after a while."""
    host, port = served.address.split(":")
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(BUSY_S)
        onward_reader, onward_writer = await asyncio.open_connection(host, int(port))
        for pair in ((reader, onward_writer), (onward_reader, writer)):
            tasks.add(asyncio.create_task(pass_on(*pair)))

    between = await asyncio.start_server(busy, "127.0.0.1", 0)
    served.address = f"127.0.0.1:{between.sockets[0].getsockname()[1]}"
    # If it were given up, it would be each time.
    assert (await served.registry(attempts=5).GetModel(model_pb2.GetModelRequest(name="flights"))).name == "flights"
    between.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
