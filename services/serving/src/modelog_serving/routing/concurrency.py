"""How many requests are under way at a time, from how long they took: what costs a request nothing."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

LEAST_S = 5.0


class Concurrency:
    """The mean since the last look that is `LEAST_S` old or older: seconds of requests in each second (Little's law).

    A request counts when it ends.
    """

    def __init__(self, busy_s: Callable[[], float], timer_s: Callable[[], float] = monotonic) -> None:
        self._busy_s, self._timer_s = busy_s, timer_s
        self._looked_s, self._was_s, self._mean = timer_s(), busy_s(), 0.0

    def mean(self) -> float:
        """Of the last stretch of time that is over."""
        now_s, busy_s = self._timer_s(), self._busy_s()
        passed_s = now_s - self._looked_s
        if passed_s >= LEAST_S:
            self._mean = (busy_s - self._was_s) / passed_s
            self._looked_s, self._was_s = now_s, busy_s
        return self._mean
