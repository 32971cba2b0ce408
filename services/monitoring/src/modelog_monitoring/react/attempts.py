"""Things that are tried again: when the next attempt of each is due, with growing pauses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from modelog_common.domain.errors import ModelogError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Trouble:
    """Failed attempts in a row, the last one's error, and when the next is due on the loop's clock."""

    attempts: int
    error: str
    due_s: float


class Attempts:
    """Counts failures by key; `now` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float], *, first_s: float = 0.2, longest_s: float = 10.0) -> None:
        self._now, self._first_s, self._longest_s = now, first_s, longest_s
        self._troubles: dict[str, Trouble] = {}

    def due(self, key: str) -> bool:
        """Whether this may be tried now."""
        trouble = self._troubles.get(key)
        return trouble is None or trouble.due_s <= self._now()

    def failed(self, key: str, error: BaseException) -> Trouble:
        """An attempt failed; the next one is due later."""
        before = self._troubles.get(key)
        attempts = 1 if before is None else before.attempts + 1
        pause_s = min(self._longest_s, self._first_s * 2 ** min(attempts - 1, 30))
        trouble = Trouble(attempts, f"{type(error).__name__}: {error}", self._now() + pause_s)
        self._troubles[key] = trouble
        return trouble

    async def attempt(
        self, key: str, work: Callable[[], Awaitable[object]], log: Any, waits: str, fails: str = ""
    ) -> bool:
        """Do it if it is due; whether it was done. The log says `waits` of an error, and `fails` of a defect."""
        if not self.due(key):
            return False
        try:
            await work()
        except ModelogError as error:
            trouble = self.failed(key, error)
            log.warning(waits, error=trouble.error, attempts=trouble.attempts)
        except Exception as error:
            # A defect in one must stop neither the others nor the service, and must not be passed over: it is tried
            # again, and said again, until it is mended.
            self.failed(key, error)
            log.exception(fails or waits)
        else:
            self.succeeded(key)
            return True
        return False

    async def in_order(
        self,
        key: str,
        following: Callable[[], Item | None],
        take: Callable[[Item], Awaitable[object]],
        about: Callable[[Item], Any],
        waits: str,
    ) -> None:
        """Take what `following` gives until that is None, or one cannot be taken now: then those behind it wait.

        `about` gives the log that tells of one.
        """
        while (item := following()) is not None:
            if not await self.attempt(key, partial(take, item), about(item), waits):
                return

    def succeeded(self, key: str) -> None:
        """Forget its failures."""
        self._troubles.pop(key, None)

    def next_s(self) -> float | None:
        """Seconds until the first retry is due, None when there is none."""
        waits = [t.due_s - self._now() for t in self._troubles.values()]
        return max(0.0, min(waits)) if waits else None
