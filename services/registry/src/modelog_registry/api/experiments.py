"""modelog.registry.v1.ExperimentRegistry over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_common.events.entities import Loaded
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryServicer

from modelog_registry.api import parse, parse_metrics, parse_runs
from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.api.values import artifact_of
from modelog_registry.experiment.commands import (
    AddExperimentArtifacts,
    DeleteExperiment,
    RemoveExperimentArtifacts,
    RestoreExperiment,
)
from modelog_registry.handle.experiments import Experiments
from modelog_registry.handle.metrics import Metrics
from modelog_registry.handle.runs import Runs, run_id_of
from modelog_registry.read.messages import run_message
from modelog_registry.read.runs.experiment_artifacts import ExperimentArtifactQueries
from modelog_registry.read.runs.tracking import TrackingQueries
from modelog_registry.run.commands import DeleteRun, RemoveRunArtifacts, RestoreRun, RunCommand, TagRun
from modelog_registry.run.state import Run

Call = grpc.aio.ServicerContext[Any, Any]


class ExperimentServicer(ExperimentRegistryServicer):
    """Experiments and their runs."""

    def __init__(
        self,
        experiments: Experiments,
        runs: Runs,
        metrics: Metrics,
        queries: TrackingQueries,
        artifacts: ExperimentArtifactQueries,
        clock: Clock,
    ) -> None:
        self._experiments, self._runs, self._metrics = experiments, runs, metrics
        self._queries, self._artifacts, self._clock = queries, artifacts, clock

    async def CreateExperiment(self, request: pb.CreateExperimentRequest, context: Call) -> pb.Experiment:
        ctx = command_call(self._clock, request.request_id, "CreateExperiment")
        experiment_id, position = await self._experiments.create(
            parse.create_experiment(request), request.workspace, request.project, ctx
        )
        return await self._queries.experiment(experiment_id, since(position), ctx.tenant)

    async def GetExperiment(self, request: pb.GetExperimentRequest, context: Call) -> pb.Experiment:
        return await self._queries.experiment_named(request.name, request.read, tenant())

    async def GetExperimentById(self, request: pb.GetExperimentByIdRequest, context: Call) -> pb.Experiment:
        return await self._queries.experiment(request.experiment_id, request.read, tenant())

    async def ListExperiments(self, request: pb.ListExperimentsRequest, context: Call) -> pb.ListExperimentsResponse:
        found = await self._queries.experiments(request, tenant())
        return pb.ListExperimentsResponse(experiments=found.items, next_page_token=found.next_page_token)

    async def SearchExperiments(
        self, request: pb.SearchExperimentsRequest, context: Call
    ) -> pb.SearchExperimentsResponse:
        found = await self._queries.search_experiments(request, tenant())
        return pb.SearchExperimentsResponse(experiments=found.items, next_page_token=found.next_page_token)

    async def UpdateExperiment(self, request: pb.UpdateExperimentRequest, context: Call) -> pb.Experiment:
        ctx = command_call(self._clock, request.request_id, "UpdateExperiment")
        position = await self._experiments.update(request.experiment_id, *parse.changes_of(request), ctx)
        return await self._queries.experiment(request.experiment_id, since(position), ctx.tenant)

    async def DeleteExperiment(self, request: pb.DeleteExperimentRequest, context: Call) -> pb.Experiment:
        ctx = command_call(self._clock, request.request_id, "DeleteExperiment")
        position = await self._experiments.handle(DeleteExperiment(request.experiment_id), ctx)
        return await self._queries.experiment(request.experiment_id, since(position), ctx.tenant)

    async def RestoreExperiment(self, request: pb.RestoreExperimentRequest, context: Call) -> pb.Experiment:
        ctx = command_call(self._clock, request.request_id, "RestoreExperiment")
        position = await self._experiments.handle(RestoreExperiment(request.experiment_id), ctx)
        return await self._queries.experiment(request.experiment_id, since(position), ctx.tenant)

    async def SetExperimentTags(self, request: pb.SetExperimentTagsRequest, context: Call) -> pb.Experiment:
        ctx = command_call(self._clock, request.request_id, "SetExperimentTags")
        position = await self._experiments.handle(parse.tag_experiment(request), ctx)
        return await self._queries.experiment(request.experiment_id, since(position), ctx.tenant)

    async def MoveExperiment(self, request: pb.MoveExperimentRequest, context: Call) -> pb.Experiment:
        ctx = command_call(self._clock, request.request_id, "MoveExperiment")
        position = await self._experiments.move(request.experiment_id, request.workspace, request.project, ctx)
        return await self._queries.experiment(request.experiment_id, since(position), ctx.tenant)

    async def AddExperimentArtifacts(
        self, request: pb.AddExperimentArtifactsRequest, context: Call
    ) -> pb.AddExperimentArtifactsResponse:
        ctx = command_call(self._clock, request.request_id, "AddExperimentArtifacts")
        added = tuple(artifact_of(artifact) for artifact in request.artifacts)
        position = await self._experiments.add_artifacts(AddExperimentArtifacts(request.experiment_id, added), ctx)
        await self._artifacts.cover(position)
        return pb.AddExperimentArtifactsResponse(position=position)

    async def RemoveExperimentArtifacts(
        self, request: pb.RemoveExperimentArtifactsRequest, context: Call
    ) -> pb.RemoveExperimentArtifactsResponse:
        ctx = command_call(self._clock, request.request_id, "RemoveExperimentArtifacts")
        command = RemoveExperimentArtifacts(request.experiment_id, tuple(request.paths))
        position = await self._experiments.handle(command, ctx)
        await self._artifacts.cover(position)
        return pb.RemoveExperimentArtifactsResponse(position=position)

    async def ListExperimentArtifacts(
        self, request: pb.ListExperimentArtifactsRequest, context: Call
    ) -> pb.ListExperimentArtifactsResponse:
        found = await self._artifacts.listed(request, tenant())
        return pb.ListExperimentArtifactsResponse(artifacts=found.items, next_page_token=found.next_page_token)

    async def StartRun(self, request: pb.StartRunRequest, context: Call) -> pb.Run:
        ctx = command_call(self._clock, request.request_id, "StartRun")
        run_id = run_id_of(ctx)
        return told(await self._runs.start(parse_runs.start_run(request, run_id), ctx), run_id, ctx.tenant)

    async def StartRuns(self, request: pb.StartRunsRequest, context: Call) -> pb.StartRunsResponse:
        commands = []
        for run, correlation_id in parse_runs.starts(request):
            ctx = command_call(self._clock, run.request_id, "StartRun").correlated(correlation_id)
            commands.append((parse_runs.start_run(run, run_id_of(ctx)), ctx))
        started = await self._runs.start_all(commands)
        runs = [told(run, command.run_id, ctx.tenant) for run, (command, ctx) in zip(started, commands, strict=True)]
        return pb.StartRunsResponse(runs=runs)

    async def LogRun(self, request: pb.LogRunRequest, context: Call) -> pb.Run:
        ctx = command_call(self._clock, request.request_id, "LogRun")
        position = await self._runs.log(parse_runs.log_run(request), ctx)
        return await self._queries.run(request.run_id, since(position), ctx.tenant)

    async def LogMetrics(self, request: pb.LogMetricsRequest, context: Call) -> pb.LogMetricsResponse:
        ctx = command_call(self._clock, request.request_id, "LogMetrics")
        position = await self._metrics.log(request.run_id, parse_metrics.block(request), ctx)
        return pb.LogMetricsResponse(position=position)

    async def LogMetricsOfRuns(self, request: pb.LogMetricsOfRunsRequest, context: Call) -> pb.LogMetricsOfRunsResponse:
        await self._metrics.log_all(
            [
                (run.run_id, parse_metrics.block(run), command_call(self._clock, request_id, "LogMetrics"))
                for run, request_id in zip(request.runs, parse_metrics.request_ids(request), strict=True)
            ]
        )
        return pb.LogMetricsOfRunsResponse()

    async def LogInputs(self, request: pb.LogInputsRequest, context: Call) -> pb.Run:
        return await self._changed(parse_runs.log_inputs(request), request.request_id, "LogInputs")

    async def LogOutputs(self, request: pb.LogOutputsRequest, context: Call) -> pb.Run:
        return await self._changed(parse_runs.log_outputs(request), request.request_id, "LogOutputs")

    async def SetRunTags(self, request: pb.SetRunTagsRequest, context: Call) -> pb.Run:
        return await self._changed(TagRun(request.run_id, dict(request.tags)), request.request_id, "SetRunTags")

    async def DeleteRunTag(self, request: pb.DeleteRunTagRequest, context: Call) -> pb.Run:
        command = TagRun(request.run_id, removed=(request.key,))
        return await self._changed(command, request.request_id, "DeleteRunTag")

    async def RemoveRunArtifacts(self, request: pb.RemoveRunArtifactsRequest, context: Call) -> pb.Run:
        ctx = command_call(self._clock, request.request_id, "RemoveRunArtifacts")
        position = await self._runs.remove(RemoveRunArtifacts(request.run_id, tuple(request.paths)), ctx)
        return await self._queries.run(request.run_id, since(position), ctx.tenant)

    async def DeleteRun(self, request: pb.DeleteRunRequest, context: Call) -> pb.Run:
        return await self._changed(DeleteRun(request.run_id), request.request_id, "DeleteRun")

    async def RestoreRun(self, request: pb.RestoreRunRequest, context: Call) -> pb.Run:
        return await self._changed(RestoreRun(request.run_id), request.request_id, "RestoreRun")

    async def UpdateRun(self, request: pb.UpdateRunRequest, context: Call) -> pb.Run:
        ctx = command_call(self._clock, request.request_id, "UpdateRun")
        return told(await self._runs.end(parse_runs.update_run(request), ctx), request.run_id, ctx.tenant)

    async def EndRun(self, request: pb.EndRunRequest, context: Call) -> pb.Run:
        ctx = command_call(self._clock, request.request_id, "EndRun")
        return told(await self._runs.end(parse_runs.end_run(request), ctx), request.run_id, ctx.tenant)

    async def GetRun(self, request: pb.GetRunRequest, context: Call) -> pb.Run:
        get = self._queries.run if request.without_points else self._queries.run_with_points
        return await get(request.run_id, request.read, tenant())

    async def GetMetricHistory(self, request: pb.GetMetricHistoryRequest, context: Call) -> pb.GetMetricHistoryResponse:
        return await self._queries.history(request, tenant())

    async def GetThinnedMetric(self, request: pb.GetThinnedMetricRequest, context: Call) -> pb.GetThinnedMetricResponse:
        return await self._queries.thinned(request, tenant())

    async def ListRuns(self, request: pb.ListRunsRequest, context: Call) -> pb.ListRunsResponse:
        found = await self._queries.runs(request.experiment, request.page, request.read, tenant())
        return pb.ListRunsResponse(runs=found.items, next_page_token=found.next_page_token)

    async def SearchRuns(self, request: pb.SearchRunsRequest, context: Call) -> pb.SearchRunsResponse:
        return await self._queries.search_runs(request, tenant())

    async def _changed(self, command: RunCommand, request_id: str, method: str) -> pb.Run:
        """The run after a command that needs nothing but the run."""
        ctx = command_call(self._clock, request_id, method)
        position = await self._runs.handle(command, ctx)
        return await self._queries.run(command.run_id, since(position), ctx.tenant)


def told(run: Loaded[Run], run_id: str, tenant: str) -> pb.Run:
    """A run as its state says."""
    return run_message(run.state, run.state.existing(run_id, tenant), run.position)
