"""A circuit breaker for one version, the share of requests that retries may add, and the window that both look at.

Nobody counts what succeeds: the answers of a version are counted anyway, and a window remembers what the count was.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import NamedTuple

from modelog_serving.deployment.resilience import Breaker, Retries

RETRY_WINDOW_S = 10
# So many marks has a window: it begins at the youngest that is old enough, so it is up to a twentieth too long.
MARKS = 20


class Counts(NamedTuple):
    """Attempts of a version that were answered and that failed, and retries, since the process started."""

    answered: int = 0
    failed: int = 0
    retried: int = 0


class Window:
    """What was counted in the last `span_s`; `look` at it about once a second."""

    def __init__(self, span_s: float, now_s: float, counts: Counts) -> None:
        self._span_s = span_s
        self._marks: deque[tuple[float, Counts]] = deque([(now_s, counts)])

    def look(self, now_s: float, counts: Counts) -> Counts:
        """What came since the window's beginning."""
        if now_s - self._marks[-1][0] >= self._span_s / MARKS:
            self._marks.append((now_s, counts))
        while len(self._marks) > 1 and self._marks[1][0] <= now_s - self._span_s:
            self._marks.popleft()
        before = self._marks[0][1]
        return Counts(*(now - then for now, then in zip(counts, before, strict=True)))


class State(StrEnum):
    """Requests pass; they do not; some of them try whether they would be answered."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Pass(NamedTuple):
    """Lets one request through; `probe` is the number of the trial that it belongs to, 0 for none."""

    probe: int = 0


class CircuitBreaker:
    """Seconds are those of one steady clock."""

    def __init__(self, setting: Breaker, now_s: float, counts: Counts) -> None:
        self._setting = setting
        self._window = Window(setting.window_s, now_s, counts)
        self.state = State.CLOSED
        self.opened_s = 0.0
        # When it may be tried again, if it is open; each time it opens it is another.
        self.again_s = 0.0
        self._trial = self._under_way = self._passed = 0

    def admit(self, now_s: float) -> Pass | None:
        """Whether a request may be tried; for each pass one of `passed`, `failed` and `left` must follow."""
        if self.state is State.CLOSED:
            return Pass()
        if self.state is State.OPEN:
            if now_s < self.again_s:
                return None
            self.state, self._under_way, self._passed = State.HALF_OPEN, 0, 0
            self._trial += 1
        if self._under_way + self._passed >= self._setting.probes:
            return None
        self._under_way += 1
        return Pass(self._trial)

    def again_in_s(self, now_s: float) -> float:
        """After so long it may be tried again; 0 for at once."""
        return max(0.0, self.again_s - now_s) if self.state is State.OPEN else 0.0

    def passed(self, given: Pass) -> bool:
        """The request was answered; True when this closed the breaker: then a new window begins with `begin`."""
        if not self._ends(given):
            return False
        self._passed += 1
        if self._passed < self._setting.probes:
            return False
        self.state = State.CLOSED
        return True

    def begin(self, now_s: float, counts: Counts) -> None:
        """What failed before does not count any more."""
        self._window = Window(self._setting.window_s, now_s, counts)

    def failed(self, given: Pass, now_s: float, counts: Counts) -> Counts | None:
        """The request failed, and is in the counts; what the window holds when this opened the closed breaker."""
        if given.probe:
            if self._ends(given):
                self._open(now_s)
            return None
        seen = self._window.look(now_s, counts)
        if self.state is not State.CLOSED:
            return None
        requests = seen.answered + seen.failed
        if requests < self._setting.min_requests or seen.failed < self._setting.failure_share * requests:
            return None
        self.opened_s = now_s
        self._open(now_s)
        return seen

    def left(self, given: Pass) -> None:
        """The request came to no end that says something of the version."""
        self._ends(given)

    def look(self, now_s: float, counts: Counts) -> None:
        """Let the window slide."""
        self._window.look(now_s, counts)

    def _open(self, now_s: float) -> None:
        self.state, self.again_s = State.OPEN, now_s + self._setting.open_s

    def _ends(self, given: Pass) -> bool:
        """Whether it is a request of the trial that goes on now."""
        if self.state is not State.HALF_OPEN or given.probe != self._trial:
            return False
        self._under_way -= 1
        return True


class Budget:
    """How many retries there may be."""

    def __init__(self, setting: Retries, now_s: float, counts: Counts) -> None:
        self._setting = setting
        self._window = Window(RETRY_WINDOW_S, now_s, counts)

    def allows(self, now_s: float, counts: Counts) -> bool:
        """Whether one more retry is within the share: a request is what was tried first."""
        seen = self._window.look(now_s, counts)
        requests = seen.answered + seen.failed - seen.retried
        return seen.retried + 1 <= max(self._setting.least, self._setting.budget * requests)

    def look(self, now_s: float, counts: Counts) -> None:
        """Let the window slide."""
        self._window.look(now_s, counts)
