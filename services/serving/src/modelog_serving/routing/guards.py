"""Asks versions of deployments that are set to be resilient: through a circuit breaker, within a time, and again.

What is known of a version here is known to this process alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import ModelogError, Overloaded, Unavailable
from modelog_common.rpc.call import call_or_none
from modelog_common.telemetry import metrics
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential
from tenacity.stop import stop_base

from modelog_serving.deployment.resilience import Resilience
from modelog_serving.engine.failed import RAISED, ModelFailed
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.failure.commands import FailureCommand, RecordClosed, RecordOpened
from modelog_serving.routing.breaker import Budget, CircuitBreaker, Counts, Pass, State
from modelog_serving.routing.meter import CALLERS, Meter
from modelog_serving.routing.routes import Route, Routes

LOOK_S = 1.0
# Before a retry: at most this, and twice as long before each that follows.
PAUSE_S, LONGEST_PAUSE_S = 0.025, 0.25
MOST_TEXT = 500
log = structlog.get_logger()
Place = tuple[str, str, str]


class NotAsked(Unavailable):
    """The version was not asked: its circuit breaker is open."""


class TookTooLong(Unavailable):
    """The version did not answer within the time that the deployment gives an attempt."""


@dataclass(frozen=True)
class Computed:
    """Outputs, whether they were kept from before, and the model that would explain them; None for a default answer."""

    outputs: Matrix
    cached: bool
    model: Model | None


class Seen(NamedTuple):
    """A version's breaker now; `again_in_s` is 0 where it may be tried."""

    version: str
    state: State
    again_in_s: float


@dataclass
class _Guard:
    route: Route
    version: str
    setting: Resilience
    breaker: CircuitBreaker | None
    budget: Budget | None
    failed: int = 0
    retried: int = 0
    why: str = field(default="")


class _Stop(stop_base):
    """Asks whether that many attempts are enough."""

    def __init__(self, enough: Callable[[int], bool]) -> None:
        self._enough = enough

    def __call__(self, retry_state: RetryCallState) -> bool:
        return self._enough(retry_state.attempt_number)


class Guards:
    """`record` takes what the log of events is told; `run` it as a task of its own."""

    def __init__(
        self, meter: Meter, record: Callable[[str, FailureCommand], None], clock: Clock,
        timer_s: Callable[[], float] = monotonic,
    ) -> None:  # fmt: skip
        self._meter, self._record, self._clock, self._timer_s = meter, record, clock, timer_s
        self._guards: dict[Place, _Guard] = {}
        self._retries: Counter[tuple[str, str]] = Counter()
        self._fallbacks: Counter[tuple[str, str]] = Counter()

    def calm(self, route: Route) -> bool:
        """Whether the versions of a deployment need only be watched: nothing is late or known to fail."""
        setting = route.deployment.resilience
        if setting is None:
            return True
        return not setting.timeout_ms and all(seen.state is State.CLOSED for seen in self.breakers(route))

    def breakers(self, route: Route) -> Iterator[Seen]:
        """The breakers of the versions that answer traffic, where it has any."""
        for version in route.variants:
            guard = self._guards.get((route.tenant, route.deployment.id, version))
            if guard is not None and guard.breaker is not None:
                yield Seen(version, guard.breaker.state, guard.breaker.again_in_s(self._timer_s()))

    async def answer(self, route: Route, version: str, attempt: Callable[[], Awaitable[Computed]]) -> Computed:
        """What an attempt gives, which is made again where its failure may pass; raises what the last one raised, and
        NotAsked when there was none."""
        guard = self._of(route, version)
        given = guard.breaker.admit(self._timer_s()) if guard.breaker else Pass()
        if given is None:
            raise NotAsked(self._why_not(guard))
        call = call_or_none()
        end_s = None if call is None or call.deadline_s is None else self._timer_s() + call.deadline_s
        retries = guard.setting.retries
        most = 1 if given.probe or retries is None else retries.attempts
        trials = AsyncRetrying(
            retry=retry_if_exception(may_pass),
            stop=_Stop(lambda made: made >= most or self._no_more(guard, end_s)),
            wait=wait_random_exponential(PAUSE_S, LONGEST_PAUSE_S),
            before_sleep=lambda _: self._retry(guard),
            reraise=True,
        )
        return await trials(self._tried, guard, given, attempt)

    async def _tried(self, guard: _Guard, given: Pass, attempt: Callable[[], Awaitable[Computed]]) -> Computed:
        try:
            found = await self._in_time(guard, attempt)
        except BaseException as error:
            self._ended(guard, given, error)
            raise
        if guard.breaker is not None:
            if found.cached:
                guard.breaker.left(given)
            elif guard.breaker.passed(given):
                self._closed(guard, "it answers again")
                guard.breaker.begin(self._timer_s(), self._counts(guard))
        return found

    async def _in_time(self, guard: _Guard, attempt: Callable[[], Awaitable[Computed]]) -> Computed:
        limit_ms = guard.setting.timeout_ms
        if not limit_ms:
            return await attempt()
        try:
            async with asyncio.timeout(limit_ms / 1000) as limit:
                return await attempt()
        except TimeoutError:
            if not limit.expired():
                raise
            raise TookTooLong(f"version {guard.version} took more than {limit_ms} ms") from None

    def _ended(self, guard: _Guard, given: Pass, error: BaseException) -> None:
        if not is_failure(error):
            if guard.breaker is not None:
                guard.breaker.left(given)
            return
        guard.failed += 1
        guard.why = (str(error) if isinstance(error, ModelogError) else type(error).__name__)[:MOST_TEXT]
        if guard.breaker is None:
            return
        opened = guard.breaker.failed(given, self._timer_s(), self._counts(guard))
        if opened is not None:
            self._opened(guard, opened)

    def _no_more(self, guard: _Guard, end_s: float | None) -> bool:
        """No retry: the breaker has opened, the caller's time would be over when it begins, or there were enough."""
        now_s = self._timer_s()
        if guard.breaker is not None and guard.breaker.state is not State.CLOSED:
            return True
        if end_s is not None and now_s + LONGEST_PAUSE_S > end_s:
            return True
        return guard.budget is None or not guard.budget.allows(now_s, self._counts(guard))

    def _retry(self, guard: _Guard) -> None:
        guard.retried += 1
        of = guard.route
        self._retries[of.tenant, of.deployment.name] += 1
        metrics.retries().add(1, _about(of, guard.version))

    def fell_back(self, route: Route, version: str, why: str) -> None:
        """Something else answered instead of a version."""
        self._fallbacks[route.tenant, route.deployment.name] += 1
        metrics.fallbacks().add(1, _about(route, version) | {metrics.ATTRIBUTE_REASON: why})

    def counts(self) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
        """Retries and fallbacks by tenant and deployment."""
        return Counter(self._retries), Counter(self._fallbacks)

    def add(self, tenant: str, deployment: str, retries: int, fallbacks: int) -> None:
        """Count what another process tried again, or had answered by something else."""
        self._retries[tenant, deployment] += retries
        self._fallbacks[tenant, deployment] += fallbacks

    def retried(self, tenant: str, deployment: str) -> int:
        """Retries since the process started."""
        return self._retries[tenant, deployment]

    def fallbacks(self, tenant: str, deployment: str) -> int:
        """Requests that something else answered since the process started."""
        return self._fallbacks[tenant, deployment]

    async def run(self, routes: Routes) -> None:
        """Let windows slide, until cancelled."""
        while True:
            self.look(routes.running())
            await asyncio.sleep(LOOK_S)

    def look(self, running: Iterable[Route]) -> None:
        """Let windows slide, and let go of what is not set any more."""
        known: set[Place] = set()
        for route in running:
            if route.deployment.resilience is None:
                continue
            for version in route.variants:
                known.add((route.tenant, route.deployment.id, version))
                guard = self._of(route, version)
                for slides in (guard.breaker, guard.budget):
                    if slides is not None:
                        slides.look(self._timer_s(), self._counts(guard))
        for place in [place for place in self._guards if place not in known]:
            self._let_go(self._guards.pop(place))

    def all_breakers(self) -> Iterator[tuple[str, Seen, float]]:
        """All that there are: the id of the deployment, the breaker, and until when it is open, by the timer."""
        now_s = self._timer_s()
        for (_, deployment_id, version), guard in self._guards.items():
            if guard.breaker is not None:
                breaker = guard.breaker
                yield deployment_id, Seen(version, breaker.state, breaker.again_in_s(now_s)), breaker.again_s

    def states(self) -> Iterator[tuple[float, dict[str, str]]]:
        """For each breaker 0 closed, 1 half open, 2 open; with whose it is."""
        numbers = {State.CLOSED: 0.0, State.HALF_OPEN: 1.0, State.OPEN: 2.0}
        for guard in self._guards.values():
            if guard.breaker is not None:
                yield numbers[guard.breaker.state], _about(guard.route, guard.version)

    def _of(self, route: Route, version: str) -> _Guard:
        place, setting = (route.tenant, route.deployment.id, version), route.deployment.resilience or Resilience()
        guard = self._guards.get(place)
        if guard is not None and (guard.setting.breaker, guard.setting.retries) == (setting.breaker, setting.retries):
            guard.setting, guard.route = setting, route
            return guard
        if guard is not None:
            self._let_go(guard)
        made = self._guards[place] = _Guard(route, version, setting, None, None)
        now_s, counts = self._timer_s(), self._counts(made)
        made.breaker = CircuitBreaker(setting.breaker, now_s, counts) if setting.breaker else None
        made.budget = Budget(setting.retries, now_s, counts) if setting.retries else None
        return made

    def _counts(self, guard: _Guard) -> Counts:
        of = guard.route
        answered = self._meter.total(of.tenant, of.deployment.name, guard.version).answered
        return Counts(answered, guard.failed, guard.retried)

    def _let_go(self, guard: _Guard) -> None:
        if guard.breaker is not None and guard.breaker.state is not State.CLOSED:
            self._closed(guard, "what is done when it fails was set anew, or it answers no traffic any more")

    def _why_not(self, guard: _Guard) -> str:
        again_s = guard.breaker.again_in_s(self._timer_s()) if guard.breaker else 0.0
        when = f"in {again_s:.0f} s" if again_s else "now by other requests"
        return f"version {guard.version} is not asked: its circuit breaker is open ({guard.why}); it is tried {when}"

    def _opened(self, guard: _Guard, seen: Counts) -> None:
        requests, window_s = seen.answered + seen.failed, guard.setting.breaker.window_s if guard.setting.breaker else 0
        log.error("a circuit breaker opened", deployment=guard.route.deployment.name, version=guard.version,
                  failures=seen.failed, requests=requests, why=guard.why)  # fmt: skip
        counted = (seen.failed, requests, window_s, guard.why)
        self._record(guard.route.tenant, RecordOpened(*_named(guard), *counted, self._clock.now()))

    def _closed(self, guard: _Guard, why: str) -> None:
        open_s = round(self._timer_s() - guard.breaker.opened_s, 3) if guard.breaker else 0.0
        log.info("a circuit breaker closed", deployment=guard.route.deployment.name, version=guard.version, why=why)
        self._record(guard.route.tenant, RecordClosed(*_named(guard), open_s, why, self._clock.now()))


def is_failure(error: BaseException) -> bool:
    """Whether it says something of the version: not what a caller did wrong, nor that there is too much to do."""
    return isinstance(error, Exception) and not isinstance(error, (*CALLERS, Overloaded))


def may_pass(error: BaseException) -> bool:
    """Whether the same may be answered at once: its process is replaced, it was late, or a part was away."""
    if isinstance(error, ModelFailed):
        return error.cause != RAISED
    return isinstance(error, Unavailable) and not isinstance(error, Overloaded)


def _named(guard: _Guard) -> tuple[str, str, str, str, str]:
    of, variant = guard.route.deployment, guard.route.variants.get(guard.version)
    return of.id, of.name, of.model, guard.version, variant.digest if variant else ""


def _about(route: Route, version: str) -> dict[str, str]:
    return {
        metrics.ATTRIBUTE_TENANT: route.tenant,
        metrics.ATTRIBUTE_DEPLOYMENT: route.deployment.name,
        metrics.ATTRIBUTE_VERSION: version,
    }
