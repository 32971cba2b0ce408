"""One application behind two addresses: our protocol with aiohttp behind it, and aiohttp alone, which it must equal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from modelog_common.edge.http1 import Http1
from modelog_common.edge.http1_answer import Answer, Handle, Request

BODY_BYTES = 100_000
WAIT_S = 150.0


@dataclass
class Pair:
    """`front` is ours, `plain` is aiohttp alone; `started` and `ended` tell of the requests that hang."""

    http1: Http1
    front: int = 0
    plain: int = 0
    by_us: list[str] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def echo(self, request: Request) -> Answer:
        self.by_us.append(request.path)
        return Answer(echoed(request.verb, request.query, request.headers.get("x-told", ""), request.body))

    async def hang(self, _: Request) -> Answer:
        self.started.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Answer(b'"let go"')

    async def large(self, _: Request) -> Answer:
        self.by_us.append("/large")
        return Answer(b"x" * 1_000_000)

    async def broken(self, _: Request) -> Answer:
        raise RuntimeError("broken")

    def find(self, verb: str, path: str) -> Handle | None:
        return {
            ("POST", "/echo"): self.echo,
            ("GET", "/echo"): self.echo,
            ("GET", "/hang"): self.hang,
            ("GET", "/large"): self.large,
            ("GET", "/broken"): self.broken,
        }.get((verb, path))


def echoed(verb: str, query: str, told: str, body: bytes) -> bytes:
    return f"{verb} {query} {told} {len(body)} ".encode("utf-8", "surrogateescape") + body[:200]


async def _echo(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    told = request.headers.get("X-Told", "")
    return web.Response(
        body=echoed(request.method, request.rel_url.raw_query_string, told, body), content_type="application/json"
    )


async def _other(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"other {len(await request.read())}")


@asynccontextmanager
async def pair(idle_s: float = 3600.0) -> AsyncIterator[Pair]:
    app = web.Application(client_max_size=BODY_BYTES)
    # Not HEAD by itself, as MLflow's methods have it.
    app.router.add_route("GET", "/echo", _echo)
    app.router.add_route("POST", "/echo", _echo)
    app.router.add_route("*", "/other", _other)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    others = runner.server
    assert others is not None
    made = Pair(Http1(lambda verb, path: made.find(verb, path), others, BODY_BYTES, idle_s))
    loop = asyncio.get_running_loop()
    front = await loop.create_server(made.http1.connection, "127.0.0.1", 0)
    plain = await loop.create_server(others, "127.0.0.1", 0)
    made.front, made.plain = (server.sockets[0].getsockname()[1] for server in (front, plain))
    yield made
    front.close()
    plain.close()
    await made.http1.stop(1.0)
    await runner.cleanup()


@dataclass(frozen=True)
class Told:
    """What of an answer must be the same."""

    status: int
    content_type: str
    body: bytes
    closes: bool


async def answers_to(port: int, parts: list[bytes], expected: int, first: bytes = b"") -> list[Told]:
    """Send the parts one by one, and read that many answers, or as many as there are before the end.

    `first` is a request that is answered before.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    found: list[Told] = []
    try:
        async with asyncio.timeout(WAIT_S):
            if first:
                writer.write(first)
                told = await _answer(reader)
                assert told is not None
                assert told.status == 200
            for part in parts:
                writer.write(part)
                await writer.drain()
                # Each part in a packet of its own, as far as that can be had.
                await asyncio.sleep(0)
            while len(found) < expected:
                told = await _answer(reader, has_body=not parts[0].startswith(b"HEAD "))
                if told is None:
                    break
                found.append(told)
    except (ConnectionError, TimeoutError):
        # What came until then is what is compared.
        pass
    finally:
        writer.close()
    return found


async def _answer(reader: asyncio.StreamReader, *, has_body: bool = True) -> Told | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0"))) if has_body else b""
    status = int(first.split()[1])
    return Told(status, headers.get("content-type", ""), body, headers.get("connection", "") == "close")
