"""Small writes that come together go together: while calls are under way, the next ones of the same caller gather."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from modelog_common.domain.errors import ModelogError
from modelog_common.domain.ids import uuid7_text
from modelog_common.rpc.call import current_call
from modelog_proto.registry.v1 import experiment_pb2 as pb

if TYPE_CHECKING:
    from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryAsyncStub

MOST = 500
# Two calls are under way when many write: this process gathers the next one while the registry answers another. A
# second call is worth its price when it takes so many along.
CALLS, ENOUGH = 2, 4
# Clients that were answered together come again together: so long they are waited for, as many as last time.
GATHER_S = 0.0005
# So many callers are remembered.
KEPT = 1000


class Repeatable(Protocol):
    """A request that may be sent again under its id."""

    request_id: str


Asked = TypeVar("Asked", bound=Repeatable)
Got = TypeVar("Got")


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Asked, Got]):
    """A write, and who waits for its answer; the answer None says that it must be sent alone."""

    request: Asked
    correlation_id: str
    answer: asyncio.Future[Got | None]


@dataclass
class _Caller(Generic[Asked, Got]):
    """What one caller's clients wait for, and what is under way for them: calls, and writes in them."""

    waiting: list[_Waiting[Asked, Got]] = field(default_factory=list)
    calls: int = 0
    writes: int = 0
    lately: int = 1
    expecting: asyncio.Event | None = None

    def add(self, one: _Waiting[Asked, Got]) -> None:
        self.waiting.append(one)
        if self.expecting is not None and len(self.waiting) >= self.lately:
            self.expecting.set()

    def is_call_due(self) -> bool:
        if self.expecting is not None or not self.waiting:
            return False
        return not self.calls or (self.calls < CALLS and len(self.waiting) >= ENOUGH)

    def begin(self) -> None:
        self.calls += 1
        self.expecting = asyncio.Event()

    async def gather(self) -> list[_Waiting[Asked, Got]]:
        """What goes with the next call: a fair share, when those who are expected have come or not come."""
        if self.expecting is not None and len(self.waiting) < self.lately:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self.expecting.wait()
        share = max(-(-(self.writes + len(self.waiting)) // CALLS), ENOUGH)
        size = min(share, MOST)
        taken, self.waiting = self.waiting[:size], self.waiting[size:]
        self.lately, self.expecting = max(len(taken), 1), None
        self.writes += len(taken)
        return taken

    def end(self, taken: Sequence[_Waiting[Asked, Got]]) -> None:
        self.calls -= 1
        self.writes -= len(taken)


class Gathering(Generic[Asked, Got]):
    """Small writes, one or two calls at a time for each caller, with everything that came in meanwhile.

    A call costs much more than a write, so many clients of one caller get through with few calls.
    """

    def __init__(
        self,
        alone: Callable[[Asked], Awaitable[Got]],
        together: Callable[[Sequence[Asked], Sequence[str]], Awaitable[Sequence[Got]]],
    ) -> None:
        """How one write is sent, and how many are, with their correlation ids."""
        self._alone, self._together = alone, together
        self._callers: dict[str, _Caller[Asked, Got]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def send(self, request: Asked) -> Got:
        """Returns when the write is kept; raises what it does when it is sent alone."""
        # What was kept with others and is sent again alone is taken once.
        request.request_id = request.request_id or uuid7_text()
        call = current_call()
        caller = self._caller(call.token)
        mine: _Waiting[Asked, Got] = _Waiting(request, call.correlation_id, asyncio.get_running_loop().create_future())
        caller.add(mine)
        self._go_on(caller)
        try:
            answer = await mine.answer
        except asyncio.CancelledError:
            # Its client is gone. What is under way already goes on for the others in it.
            with contextlib.suppress(ValueError):
                caller.waiting.remove(mine)
            raise
        return await self._alone(request) if answer is None else answer

    def _caller(self, token: str) -> _Caller[Asked, Got]:
        if token not in self._callers:
            if len(self._callers) >= KEPT:
                self._callers = {known: c for known, c in self._callers.items() if c.waiting or c.calls}
            self._callers[token] = _Caller()
        return self._callers[token]

    def _go_on(self, caller: _Caller[Asked, Got]) -> None:
        if caller.is_call_due():
            caller.begin()
            sending = asyncio.create_task(self._send(caller))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _send(self, caller: _Caller[Asked, Got]) -> None:
        taken = await caller.gather()
        self._go_on(caller)
        try:
            answers = await self._answers(taken)
        except BaseException as error:
            for waiting in taken:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for waiting, answer in zip(taken, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)
        finally:
            caller.end(taken)
            self._go_on(caller)

    async def _answers(self, taken: Sequence[_Waiting[Asked, Got]]) -> Sequence[Got | None]:
        if len(taken) == 1:
            return [await self._alone(taken[0].request)]
        try:
            return await self._together([w.request for w in taken], [w.correlation_id for w in taken])
        except ModelogError:
            # Each is told its own.
            return [None] * len(taken)


def gathered_points(
    experiments: ExperimentRegistryAsyncStub,
) -> Gathering[pb.LogMetricsRequest, pb.LogMetricsResponse]:
    """A few points of a run."""

    async def alone(request: pb.LogMetricsRequest) -> pb.LogMetricsResponse:
        return await experiments.LogMetrics(request)

    async def together(requests: Sequence[pb.LogMetricsRequest], _: Sequence[str]) -> Sequence[pb.LogMetricsResponse]:
        await experiments.LogMetricsOfRuns(pb.LogMetricsOfRunsRequest(runs=requests))
        return [pb.LogMetricsResponse()] * len(requests)

    return Gathering(alone, together)


def gathered_starts(experiments: ExperimentRegistryAsyncStub) -> Gathering[pb.StartRunRequest, pb.Run]:
    """A run that is started."""

    async def alone(request: pb.StartRunRequest) -> pb.Run:
        return await experiments.StartRun(request)

    async def together(requests: Sequence[pb.StartRunRequest], correlation_ids: Sequence[str]) -> Sequence[pb.Run]:
        asked = pb.StartRunsRequest(runs=requests, correlation_ids=correlation_ids)
        return (await experiments.StartRuns(asked)).runs

    return Gathering(alone, together)
