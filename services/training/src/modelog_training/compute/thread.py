"""A thread that lives as long as the process, and is not waited for when the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class OwnThread:
    """Does one thing after the other, in a daemon thread.

    Not a ThreadPoolExecutor: Python joins those before it exits, so that a start of Ray, which takes half a minute on a
    busy machine, could not be broken off.
    """

    def __init__(self, name: str) -> None:
        self._todo: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, or what it raises."""
        answer: Future[T] = Future()
        self._todo.put((work, answer))
        return await asyncio.wrap_future(answer)

    def _work(self) -> None:
        while True:
            work, answer = self._todo.get()
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(work())
            except BaseException as error:
                answer.set_exception(error)
