"""A real HTTP server that takes what webhooks send, and answers as a test wants."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PATIENCE_S = 150


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["X-MLflow-Delivery-Id"]

    @property
    def told(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        return f"{self.told['entity']}.{self.told['action']}"

    def is_signed(self, secret: str) -> bool:
        signed = f"{self.id}.{self.headers['X-MLflow-Timestamp']}.".encode() + self.body
        code = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(self.headers["X-MLflow-Signature"], f"v1,{code}")


@dataclass
class Receiver:
    """`answers` are given in turn, and then 200; `before_answer` is called with each request that came."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    before_answer: Callable[[Received], None] = lambda _: None
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.Response:
        came = Received(request.path, dict(request.headers), await request.read())
        async with self._came:
            self.received.append(came)
            self._came.notify_all()
        self.before_answer(came)
        return self.answers.pop(0) if self.answers else web.Response(text="thank you")

    async def until(self, count: int) -> list[Received]:
        """What came, once there are so many."""
        return await self.so_far(lambda received: len(received) >= count, f"{count} requests")

    async def so_far(self, enough: Callable[[list[Received]], bool], what: str) -> list[Received]:
        """What came, once it is enough."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._came:
                await self._came.wait_for(lambda: enough(self.received))
        except TimeoutError:
            raise AssertionError(f"{what} were to come; there came {self.received}") from None
        return self.received


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    receiver.url = f"http://127.0.0.1:{port}/hook/S3CRET-PATH"
    try:
        yield receiver
    finally:
        await runner.cleanup()
