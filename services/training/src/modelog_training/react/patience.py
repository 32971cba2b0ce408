"""How long to try when another service does not answer: it may have been killed, and then it is back within seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from modelog_common.domain.errors import Unavailable
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_delay, stop_never, wait_exponential

T = TypeVar("T")
LIMIT_S = 120.0


class GaveUp(Exception):
    """Another service did not answer for as long as we were ready to wait."""


class Patience:
    """Repeats calls that nobody could answer; they carry request ids, so that repeating them is safe."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s

    async def limited(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's answer; raises GaveUp after the limit, and the call's other errors as they come."""
        try:
            return await _retrying(stop_after_delay(self._limit_s))(_once, call)
        except RetryError as error:
            last = error.last_attempt.exception()
            raise GaveUp(f"another service did not answer for {self._limit_s:g} s: {last}") from error

    async def endless(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's answer, however long it takes."""
        return await _retrying(stop_never)(_once, call)


async def _once(call: Callable[[], Awaitable[T]]) -> T:
    """Tenacity awaits what it knows to be a coroutine function, which a lambda is not."""
    return await call()


def _retrying(stop: object) -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_exponential(multiplier=0.25, max=5),
        stop=stop,  # type: ignore[arg-type]
    )
