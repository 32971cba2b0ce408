"""modelog.registry.v1.ExperimentRegistry over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryServicer

from modelog_registry.api import parse
from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.experiments import Experiments, run_id_of
from modelog_registry.read.queries import RegistryQueries

Call = grpc.aio.ServicerContext[Any, Any]


class ExperimentServicer(ExperimentRegistryServicer):
    """Experiments and their runs."""

    def __init__(self, experiments: Experiments, queries: RegistryQueries, clock: Clock) -> None:
        self._experiments, self._queries, self._clock = experiments, queries, clock

    async def CreateExperiment(self, request: pb.CreateExperimentRequest, context: Call) -> pb.Experiment:
        ctx = command_call(self._clock, request.request_id, "CreateExperiment")
        position = await self._experiments.create(parse.create_experiment(request), ctx)
        return await self._queries.experiment(request.name, since(position), ctx.tenant)

    async def GetExperiment(self, request: pb.GetExperimentRequest, context: Call) -> pb.Experiment:
        return await self._queries.experiment(request.name, request.read, tenant())

    async def ListExperiments(self, request: pb.ListExperimentsRequest, context: Call) -> pb.ListExperimentsResponse:
        found = await self._queries.experiments(request.page, request.read, tenant())
        return pb.ListExperimentsResponse(experiments=found.items, next_page_token=found.next_page_token)

    async def StartRun(self, request: pb.StartRunRequest, context: Call) -> pb.Run:
        ctx = command_call(self._clock, request.request_id, "StartRun")
        run_id = run_id_of(ctx)
        position = await self._experiments.start_run(parse.start_run(request, run_id), ctx)
        return await self._queries.run(run_id, since(position), ctx.tenant)

    async def LogRun(self, request: pb.LogRunRequest, context: Call) -> pb.Run:
        ctx = command_call(self._clock, request.request_id, "LogRun")
        position = await self._experiments.log_run(parse.log_run(request), ctx)
        return await self._queries.run(request.run_id, since(position), ctx.tenant)

    async def EndRun(self, request: pb.EndRunRequest, context: Call) -> pb.Run:
        ctx = command_call(self._clock, request.request_id, "EndRun")
        position = await self._experiments.end_run(parse.end_run(request), ctx)
        return await self._queries.run(request.run_id, since(position), ctx.tenant)

    async def GetRun(self, request: pb.GetRunRequest, context: Call) -> pb.Run:
        return await self._queries.run_with_points(request.run_id, request.read, tenant())

    async def ListRuns(self, request: pb.ListRunsRequest, context: Call) -> pb.ListRunsResponse:
        found = await self._queries.runs(request.experiment, request.page, request.read, tenant())
        return pb.ListRunsResponse(runs=found.items, next_page_token=found.next_page_token)
