"""A thread of its own for a connection that blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Answer = Callable[[], None]


class Worker:
    """Does one piece of work after the other, off the event loop.

    An executor of one thread would do too, but takes twice as long to hand over and back, and every append waits for
    that.
    """

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """What `work` returns or raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def task() -> None:
            try:
                result = work()
            except BaseException as error:
                _tell(loop, future, future.set_exception, error)
            else:
                _tell(loop, future, future.set_result, result)

        self._work.put(task)
        return future

    def _run(self) -> None:
        while (task := self._work.get()) is not None:
            task()

    def stop(self) -> None:
        """Finish what was handed over, then end the thread."""
        self._work.put(None)
        self._thread.join()


def _tell(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], setter: Callable[[Any], None], value: Any
) -> None:
    def tell() -> None:
        if not future.done():
            setter(value)

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:
        # The loop has ended; nobody waits any more.
        return
