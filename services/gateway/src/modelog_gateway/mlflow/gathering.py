"""Small writes that come together go together: while one call is under way, the next ones of the same caller gather."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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


@dataclass
class _Waiting:
    """A write that somebody waits for."""

    request: pb.LogMetricsRequest
    is_kept: bool = False


@dataclass
class _Caller:
    """What one caller's clients wait for, whose turn it is to send, and how many went together lately."""

    waiting: list[_Waiting] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    lately: int = 1
    are_there: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, one: _Waiting) -> None:
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


class Gathering:
    """LogMetrics of a few points, one call at a time for each caller, with everything that came in meanwhile.

    A call costs much more than a point, so many clients of one caller get through with few calls.
    """

    def __init__(self, experiments: ExperimentRegistryAsyncStub) -> None:
        self._experiments = experiments
        self._callers: dict[str, _Caller] = {}

    async def log(self, request: pb.LogMetricsRequest) -> None:
        """Returns when the points are kept; raises what LogMetrics does."""
        # What was kept with others and is sent again alone is taken once.
        request.request_id = request.request_id or str(uuid7())
        caller = self._caller(current_call().token)
        mine = _Waiting(request)
        caller.add(mine)
        try:
            async with caller.turn:
                if not mine.is_kept:
                    await self._send(caller, mine)
        finally:
            caller.waiting = [w for w in caller.waiting if w is not mine and not w.is_kept]

    def _caller(self, token: str) -> _Caller:
        if token not in self._callers:
            if len(self._callers) >= KEPT:
                self._callers = {known: caller for known, caller in self._callers.items() if caller.waiting}
            self._callers[token] = _Caller()
        return self._callers[token]

    async def _send(self, caller: _Caller, mine: _Waiting) -> None:
        """Everything that waits; where one is refused, each is sent alone to be told its own."""
        await caller.gather()
        together = [mine, *(w for w in caller.waiting if w is not mine)][:MOST]
        if len(together) > 1:
            asked = pb.LogMetricsOfRunsRequest(runs=[waiting.request for waiting in together])
            with contextlib.suppress(ModelogError):
                await self._experiments.LogMetricsOfRuns(asked)
                for waiting in together:
                    waiting.is_kept = True
                return
        await self._experiments.LogMetrics(mine.request)
