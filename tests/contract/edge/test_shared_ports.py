"""Listeners that share a port: each has a part of the connections, and leaves none behind when it is closed."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import pytest
from modelog_common.edge.shared_port import SharedListener, bound


class Greeter(asyncio.Protocol):
    """Says who it is to every connection, and counts them."""

    def __init__(self, name: bytes, met: list[bytes]) -> None:
        self._name, self._met = name, met

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._met.append(self._name)
        cast(asyncio.Transport, transport).write(self._name)


async def greeted(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    name = await asyncio.wait_for(reader.readexactly(1), 150)
    writer.close()
    return name


async def test_connections_go_to_all_listeners_and_to_who_is_left() -> None:
    met: list[bytes] = []
    held = bound("127.0.0.1", 0)
    port = held.getsockname()[1]
    one = await SharedListener.open(lambda: Greeter(b"1", met), "127.0.0.1", port, 64)
    two = await SharedListener.open(lambda: Greeter(b"2", met), "127.0.0.1", port, 64)
    assert one.port == two.port == port
    assert {await greeted(port) for _ in range(64)} == {b"1", b"2"}, "who holds the port and does not listen has none"
    await one.close()
    assert {await greeted(port) for _ in range(64)} == {b"2"}
    await two.close()
    with pytest.raises(ConnectionRefusedError):
        await greeted(port)
    held.close()


async def test_connections_that_wait_to_be_accepted_are_accepted_before_the_end() -> None:
    met: list[bytes] = []
    listener = await SharedListener.open(lambda: Greeter(b"1", met), "127.0.0.1", 0, 64)
    clients = []
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", listener.port), timeout=150)
        clients.append(client)
    assert not met, "the loop had no turn yet"
    await listener.close()
    assert len(met) == 20
    for client in clients:
        assert await asyncio.to_thread(client.recv, 1) == b"1"
        client.close()


async def test_an_address_in_use_cannot_be_had_alone() -> None:
    listener = await SharedListener.open(lambda: Greeter(b"1", []), "127.0.0.1", 0, 64)
    with pytest.raises(OSError, match="[Aa]ddress"):
        bound("127.0.0.1", listener.port, shared=False)
    await listener.close()
