"""Requests that come as a stream: answered in their order, several at a time; a refusal takes its request's place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

# Of one stream, so many are answered at a time; what comes after them waits with the caller.
AT_ONCE = 64
Q = TypeVar("Q")
A = TypeVar("A")


async def in_order(requests: AsyncIterator[Q], answer: Callable[[Q], Awaitable[A]]) -> AsyncGenerator[A, None]:
    """The answers, in the order of the requests; who stops listening ends what is under way.

    What ends the requests is raised after the answers to those before.
    """
    places = asyncio.Semaphore(AT_ONCE)
    waiting: asyncio.Queue[asyncio.Task[A] | Exception | None] = asyncio.Queue()

    async def one(request: Q) -> A:
        return await answer(request)

    async def read() -> None:
        try:
            async for request in requests:
                await places.acquire()
                waiting.put_nowait(group.create_task(one(request)))
        except Exception as error:
            waiting.put_nowait(error)
        else:
            waiting.put_nowait(None)

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        try:
            while isinstance(task := await waiting.get(), asyncio.Task):
                yield await task
                places.release()
        finally:
            reading.cancel()
    if task is not None:
        raise task
