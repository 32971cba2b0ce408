"""What a service process does beside answering: pieces of work that run until it stops, and end together."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from modelog_common.domain.errors import Unavailable

# Work that needs something that is away is begun again after so long.
AGAIN_S = 1.0
# So long may the rest take to end, once a piece failed or all of them were told to. Meanwhile they are told again: a
# cancellation is lost where an error on the way out takes its place, which the work thinks it can go on after.
END_S, TELL_S = 20.0, 4.0
Work = Callable[[], Awaitable[None]]
log = structlog.get_logger()


class Background:
    """Pieces of work in one task group: the first that fails ends them all, and the process with them."""

    def __init__(self) -> None:
        # Whoever runs several services in one process, as tests do, does not want it ended.
        self.owns_process = False
        self._works: list[tuple[str, Work]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._last_chance: asyncio.TimerHandle | None = None
        self._tell: asyncio.TimerHandle | None = None

    def add(self, name: str, work: Work) -> None:
        """Have it run from `start` on; it must not return. When it raises Unavailable it is begun again."""
        self._works.append((name, work))

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin all of them."""
        self._tasks = [group.create_task(self._forever(name, work), name=name) for name, work in self._works]

    def cancel(self) -> None:
        """Tell all of them to end."""
        self._end_soon()
        for task in self._tasks:
            task.cancel()

    def ended(self) -> None:
        """All of them have ended: the process need not be ended by force."""
        for timer in (self._last_chance, self._tell):
            if timer is not None:
                timer.cancel()

    async def _forever(self, name: str, work: Work) -> None:
        while True:
            try:
                await work()
            except Unavailable as error:
                if self._last_chance is not None:
                    # It came on the way out, and took the cancellation's place.
                    raise asyncio.CancelledError from error
                log.warning("background work waits", work=name, why=str(error))
                await asyncio.sleep(AGAIN_S)
                continue
            except Exception:
                log.exception("background work failed; the process ends", work=name)
                self._end_soon()
                raise
            self._end_soon()
            raise RuntimeError(f"{name} ended; it should run as long as the process does")

    def _end_soon(self) -> None:
        """End the process even when some work does not: half a service that still listens is worse than none."""
        if self._last_chance is None:
            loop = asyncio.get_running_loop()
            self._last_chance = loop.call_later(END_S, self._end_now)
            self._tell = loop.call_later(TELL_S, self._tell_again)

    def _tell_again(self) -> None:
        left = [task for task in self._tasks if not task.done()]
        if left:
            log.warning("some work did not end; it is told again", work={t.get_name(): _place_of(t) for t in left})
        for task in left:
            task.cancel()
        self._tell = asyncio.get_running_loop().call_later(TELL_S, self._tell_again)

    def _end_now(self) -> None:
        tasks = {task.get_name(): _place_of(task) for task in asyncio.all_tasks()}
        log.error("some work did not end", process_ends=self.owns_process, waited_s=END_S, tasks=tasks)
        if self.owns_process:
            logging.shutdown()
            os._exit(1)


def _place_of(task: asyncio.Task[Any]) -> str:
    """Where a task waits, as file:line."""
    place = "nowhere"
    waits: Any = task.get_coro()
    while waits is not None:
        frame = getattr(waits, "cr_frame", None)
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else place
        waits = getattr(waits, "cr_await", None)
    return place
