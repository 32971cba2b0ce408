"""modelog.serving.v1.DeploymentService."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.read.queries import Queries
from modelog_common.rpc.call import command_context, current_call
from modelog_proto.common.v1.common_pb2 import ReadOptions
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_proto.serving.v1.deployment_pb2_grpc import DeploymentServiceServicer
from sqlalchemy import select

from modelog_serving.api.export import scaling_of
from modelog_serving.api.live import Live
from modelog_serving.control import Control
from modelog_serving.deployment.caching import USUAL_BYTES
from modelog_serving.engine.texts import OBJECT, numbers_in, texts_by_cell
from modelog_serving.predlog.answers import Recorded
from modelog_serving.predlog.evidence import Evidence
from modelog_serving.predlog.personal import PersonalTexts
from modelog_serving.predlog.replay import Replay, Replayed, Span
from modelog_serving.predlog.segments import Included
from modelog_serving.predlog.writer import micros
from modelog_serving.read.latencies import histograms, versions_in
from modelog_serving.read.resilience import resilience_of
from modelog_serving.read.tables import DEPLOYMENTS, ENVIRONMENTS, TRAFFIC
from modelog_serving.traffic.events import VersionTraffic

# (tenant, deployment, format) -> YAML.
Export = Callable[[str, pb.Deployment, pb.ManifestFormat.ValueType], str]
FULL_NAME = "modelog.serving.v1.DeploymentService"
REPLAYED_ROWS = 2000
USUAL_MINUTES = 60
_ENVIRONMENT_NAMES = {number: name for name, number in ENVIRONMENTS.items()}


class DeploymentServicer(DeploymentServiceServicer):
    """Deployments and their traffic."""

    def __init__(
        self,
        control: Control,
        queries: Queries,
        live: Live,
        evidence: Evidence,
        replay: Replay,
        personal: PersonalTexts,
        clock: Clock,
        export: Export,
    ) -> None:
        self._control, self._queries, self._live, self._clock = control, queries, live, clock
        self._evidence, self._replay, self._export, self._personal = evidence, replay, export, personal

    async def CreateDeployment(self, request: pb.CreateDeploymentRequest, context: Any) -> pb.Deployment:
        ctx = self._context(request.request_id, "CreateDeployment")
        environment = _ENVIRONMENT_NAMES[request.environment]
        made = await self._control.create(request.name, request.model, request.version, environment, ctx)
        return await self._deployment(request.name, ReadOptions(at_least=made.position))

    async def SetTraffic(self, request: pb.SetTrafficRequest, context: Any) -> pb.Deployment:
        ctx = self._context(request.request_id, "SetTraffic")
        percents = [(share.version, share.percent) for share in request.shares]
        made = await self._control.set_traffic(request.name, percents, request.reason, ctx)
        return await self._deployment(request.name, ReadOptions(at_least=made.position))

    async def SetScaling(self, request: pb.SetScalingRequest, context: Any) -> pb.Deployment:
        ctx = self._context(request.request_id, "SetScaling")
        made = await self._control.set_scaling(request.name, scaling_of(request.scaling), request.reason, ctx)
        return await self._deployment(request.name, ReadOptions(at_least=made.position))

    async def SetCaching(self, request: pb.SetCachingRequest, context: Any) -> pb.Deployment:
        ctx = self._context(request.request_id, "SetCaching")
        max_bytes = request.max_bytes or USUAL_BYTES
        made = await self._control.set_caching(request.name, request.ttl_s, max_bytes, request.reason, ctx)
        return await self._deployment(request.name, ReadOptions(at_least=made.position))

    async def SetResilience(self, request: pb.SetResilienceRequest, context: Any) -> pb.Deployment:
        ctx = self._context(request.request_id, "SetResilience")
        wanted = resilience_of(request.resilience) if request.HasField("resilience") else None
        made = await self._control.set_resilience(request.name, wanted, request.reason, ctx)
        return await self._deployment(request.name, ReadOptions(at_least=made.position))

    async def StopDeployment(self, request: pb.StopDeploymentRequest, context: Any) -> pb.Deployment:
        ctx = self._context(request.request_id, "StopDeployment")
        made = await self._control.stop(request.name, request.reason, ctx)
        return await self._deployment(request.name, ReadOptions(at_least=made.position))

    async def GetDeployment(self, request: pb.GetDeploymentRequest, context: Any) -> pb.Deployment:
        return await self._deployment(request.name, request.read)

    async def ExportDeployment(self, request: pb.ExportDeploymentRequest, context: Any) -> pb.ExportDeploymentResponse:
        found = await self._deployment(request.name, request.read)
        return pb.ExportDeploymentResponse(
            manifests=self._export(current_call().identity.tenant, found, request.format)
        )

    async def ListDeployments(self, request: pb.ListDeploymentsRequest, context: Any) -> pb.ListDeploymentsResponse:
        tenant = current_call().identity.tenant
        found = await self._queries.page(DEPLOYMENTS, pb.Deployment, request.read, tenant, request.page)
        return pb.ListDeploymentsResponse(
            deployments=[self._live.seen(tenant, d, request.read.as_of) for d in found.items],
            next_page_token=found.next_page_token,
        )

    async def GetLatencies(self, request: pb.GetLatenciesRequest, context: Any) -> pb.DeploymentLatencies:
        tenant, name, minutes = current_call().identity.tenant, request.deployment, request.minutes or USUAL_MINUTES
        at, untold = await self._queries.moment(request.read), list[VersionTraffic]()
        await self._known(name, request.read, tenant)
        until = await self._queries.moment_ends(request.read) or self._clock.now()
        if at is None:
            # A window that has just been told may not be in the tables yet.
            at, untold = await self._live.untold(tenant, name, lambda: self._queries.reached)
            await self._queries.moment(ReadOptions(at_least=at))
        t = TRAFFIC.table.c
        where = await self._queries.rows_of(TRAFFIC, tenant, at)
        after = micros(until - timedelta(minutes=minutes))
        rows = await self._queries.fetch(select(t.body).where(*where, t.deployment == name, t.ends_us > after))
        told = histograms(version for row in rows for version in versions_in(row.body))
        return pb.DeploymentLatencies(deployment=name, minutes=minutes, versions=told, open=histograms(untold))

    async def GetPrediction(self, request: pb.GetPredictionRequest, context: Any) -> pb.Prediction:
        tenant = current_call().identity.tenant
        await self._queries.moment(request.read)
        until = await self._queries.moment_ends(request.read)
        found = await self._evidence.find(tenant, request.deployment, request.prediction_id)
        if until is not None and _timestamp(found.answered_at_us).ToDatetime(UTC) > until:
            raise NotFound(
                f"the prediction log has no prediction {request.prediction_id!r} of {request.deployment!r} "
                f"as of {request.read.as_of}"
            )
        return to_prediction(await self._personal.opened(found))

    async def GetPredictionInclusion(
        self, request: pb.GetPredictionInclusionRequest, context: Any
    ) -> pb.PredictionInclusion:
        tenant = current_call().identity.tenant
        return to_inclusion(await self._evidence.included(tenant, request.deployment, request.prediction_id))

    async def ReplayPredictions(
        self, request: pb.ReplayPredictionsRequest, context: Any
    ) -> pb.ReplayPredictionsResponse:
        span = Span(request.deployment, _micros("since", request.since), _micros("until", request.until), request.after)
        tenant = current_call().identity.tenant
        limit = request.limit or REPLAYED_ROWS
        return to_replayed(await self._replay.page(tenant, span, request.candidate, request.slice, limit))

    def _context(self, request_id: str, method: str) -> Context:
        """A request id counts for its caller and method: another one's "1" is another request."""
        ctx = command_context(self._clock, request_id)
        return replace(ctx, request_id=derived_id(ctx.actor, method, ctx.request_id))

    async def _deployment(self, name: str, read: ReadOptions) -> pb.Deployment:
        tenant = current_call().identity.tenant
        return self._live.seen(tenant, await self._known(name, read, tenant), read.as_of)

    async def _known(self, name: str, read: ReadOptions, tenant: str) -> pb.Deployment:
        found = await self._queries.one(DEPLOYMENTS, pb.Deployment, read, tenant, name=name)
        if found is None:
            when = f" as of {read.as_of}" if read.as_of else ""
            raise NotFound(f"there is no deployment {name!r}{when}")
        return found


def to_prediction(found: Recorded) -> pb.Prediction:
    """One answer as the log holds it."""
    return pb.Prediction(
        prediction_id=found.prediction_id,
        deployment=found.deployment,
        model=found.model,
        version=found.answerer.version,
        model_digest=found.answerer.digest,
        features=dict(zip(found.feature_names, numbers_in(found.features[None, :])[0].tolist(), strict=True)),
        outputs=numbers_in(found.outputs[None, :])[0].tolist(),
        texts={
            name: cell
            for name, cell in zip(found.feature_names, found.features.tolist(), strict=True)
            if isinstance(cell, str)
        },
        output_texts=texts_by_cell(found.outputs) if found.outputs.dtype == OBJECT else (),
        sealed=found.sealed,
        event_time=_timestamp(found.event_time_us),
        answered_at=_timestamp(found.answered_at_us),
        key=found.key,
    )


def _timestamp(microseconds: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(microseconds)
    return stamp


def to_inclusion(found: Included) -> pb.PredictionInclusion:
    """The answer."""
    return pb.PredictionInclusion(
        prediction=pb.LoggedPrediction(**asdict(found.prediction)),
        leaf_index=found.leaf_index,
        path=found.path,
        position=found.segment.position,
        leaves=found.segment.leaves,
        row=found.row,
        row_hashes=found.row_hashes,
    )


def to_replayed(found: Replayed) -> pb.ReplayPredictionsResponse:
    """The answer."""
    return pb.ReplayPredictionsResponse(
        prediction_ids=found.ids,
        versions=found.versions,
        logged=found.logged,
        replayed=found.replayed,
        logged_texts=found.logged_texts,
        replayed_texts=found.replayed_texts,
        slice_values=found.slice_values,
        next_after=found.next_after,
        last=found.last,
        erased=found.erased,
    )


def _micros(field: str, text: str) -> int:
    try:
        return micros(datetime.fromisoformat(text)) if text else 0
    except ValueError as error:
        raise Invalid.field(field, f"{text!r} is no time: {error}") from None
