"""Small writes that come together go together: while one call is under way, the next ones of the same caller gather."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from modelog_common.domain.errors import ModelogError
from modelog_common.domain.ids import uuid7
from modelog_common.rpc.call import current_call
from modelog_proto.registry.v1 import experiment_pb2 as pb

if TYPE_CHECKING:
    from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryAsyncStub

MOST = 500
# Clients that were answered together come again together: so long the first of them waits for as many as last time.
GATHER_S = 0.0005
# So many callers are remembered.
KEPT = 1000


class Repeatable(Protocol):
    """A request that may be sent again under its id."""

    request_id: str


Asked = TypeVar("Asked", bound=Repeatable)
Got = TypeVar("Got")


@dataclass
class _Waiting(Generic[Asked, Got]):
    """A write that somebody waits for, and its answer when it went with others."""

    request: Asked
    correlation_id: str
    answer: Got | None = None


@dataclass
class _Caller(Generic[Asked, Got]):
    """What one caller's clients wait for, whose turn it is to send, and how many went together lately."""

    waiting: list[_Waiting[Asked, Got]] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    lately: int = 1
    are_there: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, one: _Waiting[Asked, Got]) -> None:
        self.waiting.append(one)
        if len(self.waiting) >= self.lately:
            self.are_there.set()

    async def gather(self) -> None:
        """Wait a moment for those who are expected."""
        if len(self.waiting) < self.lately:
            self.are_there.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self.are_there.wait()
        self.lately = len(self.waiting)


class Gathering(Generic[Asked, Got]):
    """Small writes, one call at a time for each caller, with everything that came in meanwhile.

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

    async def send(self, request: Asked) -> Got:
        """Returns when the write is kept; raises what it does when it is sent alone."""
        # What was kept with others and is sent again alone is taken once.
        request.request_id = request.request_id or str(uuid7())
        call = current_call()
        caller = self._caller(call.token)
        mine: _Waiting[Asked, Got] = _Waiting(request, call.correlation_id)
        caller.add(mine)
        try:
            async with caller.turn:
                return await self._send(caller, mine) if mine.answer is None else mine.answer
        finally:
            caller.waiting = [w for w in caller.waiting if w is not mine and w.answer is None]

    def _caller(self, token: str) -> _Caller[Asked, Got]:
        if token not in self._callers:
            if len(self._callers) >= KEPT:
                self._callers = {known: caller for known, caller in self._callers.items() if caller.waiting}
            self._callers[token] = _Caller()
        return self._callers[token]

    async def _send(self, caller: _Caller[Asked, Got], mine: _Waiting[Asked, Got]) -> Got:
        """Everything that waits; where one is refused, each is sent alone to be told its own."""
        await caller.gather()
        together = [mine, *(w for w in caller.waiting if w is not mine)][:MOST]
        if len(together) > 1:
            with contextlib.suppress(ModelogError):
                answers = await self._together([w.request for w in together], [w.correlation_id for w in together])
                for waiting, answer in zip(together, answers, strict=True):
                    waiting.answer = answer
                return answers[0]
        return await self._alone(mine.request)


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
