"""modelog.lineage.v1.LineageService: what led to what, and what there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.errors import NotFound
from modelog_common.rpc.call import current_call
from modelog_common.stores.search import Found
from modelog_proofs.proven_prediction import DEFAULT
from modelog_proto.lineage.v1 import lineage_pb2 as pb
from modelog_proto.lineage.v1.lineage_pb2_grpc import LineageServiceServicer
from modelog_proto.serving.v1 import deployment_pb2 as serving
from modelog_proto.serving.v1.deployment_pb2_grpc import DeploymentServiceStub

from modelog_lineage.catalogue.queries import CatalogueQueries
from modelog_lineage.graph.queries import GraphQueries
from modelog_lineage.graph.texts import prefixed, texts
from modelog_lineage.graph.trace import Traced, TracedEdge, TracedNode, Way
from modelog_lineage.graph.vocabulary import Kind, node_id, version_key
from modelog_lineage.sight import Sight, in_sight, without

Call = grpc.aio.ServicerContext[Any, Any]
PREDICTION = "Prediction"
ANSWERED_BY = "ANSWERED_BY"
SENT_TO = "SENT_TO"
WAYS = {
    pb.DIRECTION_UNSPECIFIED: Way.UPSTREAM,
    pb.DIRECTION_UPSTREAM: Way.UPSTREAM,
    pb.DIRECTION_DOWNSTREAM: Way.DOWNSTREAM,
}


class LineageServicer(LineageServiceServicer):
    """Answers from the graph; predictions themselves are asked of the serving service."""

    def __init__(
        self, queries: GraphQueries, catalogue: CatalogueQueries, serving: Callable[[], grpc.aio.Channel], sight: Sight
    ) -> None:
        self.queries, self.catalogue, self.serving, self.sight = queries, catalogue, serving, sight

    async def Trace(self, request: pb.TraceRequest, context: Call) -> pb.Graph:
        tenant = current_call().identity.tenant
        way = WAYS.get(request.direction, Way.UPSTREAM)
        await self._check(request.node)
        return to_graph(
            await self._seen(await self.queries.trace(tenant, request.node, way, request.depth, request.read))
        )

    async def TracePrediction(self, request: pb.TracePredictionRequest, context: Call) -> pb.Graph:
        tenant = current_call().identity.tenant
        asked = serving.GetPredictionRequest(
            deployment=request.deployment, prediction_id=request.prediction_id, read=request.read
        )
        prediction = await DeploymentServiceStub(self.serving()).GetPrediction(asked)
        place = node_id(Kind.DEPLOYMENT, prediction.deployment)
        # A default answer is the deployment's own.
        by_default = prediction.version == DEFAULT
        version = node_id(Kind.MODEL_VERSION, version_key(prediction.model, prediction.version))
        answerer = place if by_default else version
        answered_at = prediction.answered_at.ToDatetime(UTC)
        await self._check(answerer)
        behind, position = await self.queries.trace_as_of(tenant, answerer, answered_at)
        behind = await self._seen(behind)
        deployment = None if by_default else await self.queries.alone(tenant, place, position)
        return to_graph(in_front(prediction, behind, deployment, position))

    async def SearchCatalogue(self, request: pb.SearchCatalogueRequest, context: Call) -> pb.SearchCatalogueResponse:
        tenant = current_call().identity.tenant
        found = await self.catalogue.search(
            tenant, request.text, request.kinds, request.tags, request.page, request.read
        )
        return to_entries(in_sight(found, await self.sight.nodes([d.id for d in found.documents])))

    async def _check(self, node: str) -> None:
        if node in (await self.sight.nodes([node])).ids:
            raise NotFound(f"{node} is not in the graph")

    async def _seen(self, traced: Traced) -> Traced:
        return without(traced, (await self.sight.nodes([node.id for node in traced.nodes])).ids)


def in_front(prediction: serving.Prediction, behind: Traced, deployment: Traced | None, position: int) -> Traced:
    """The graph of a model version with a prediction before it, and the deployment that it was sent to beside it."""
    node = TracedNode(
        f"{PREDICTION}:{prediction.deployment}/{prediction.prediction_id}",
        PREDICTION,
        prediction.prediction_id,
        position,
        prediction_attributes(prediction),
    )
    beside = deployment.nodes[:1] if deployment is not None else ()
    edges = [TracedEdge(node.id, behind.nodes[0].id, ANSWERED_BY, position)]
    edges += [TracedEdge(node.id, other.id, SENT_TO, position) for other in beside]
    # What led to the model may have passed through the deployment earlier; told is what it was when it answered.
    known = {other.id for other in beside}
    nodes = [node, *(n for n in behind.nodes if n.id not in known), *beside]
    return Traced(nodes, [*edges, *behind.edges])


def prediction_attributes(prediction: serving.Prediction) -> dict[str, str]:
    """What is told of a prediction: what went in, what came out, when, and by which model file."""
    fields = texts(
        deployment=prediction.deployment, model=prediction.model, version=prediction.version,
        model_digest=prediction.model_digest, key=prediction.key, outputs=list(prediction.outputs),
        event_time=_time(prediction.event_time), answered_at=_time(prediction.answered_at),
    )  # fmt: skip
    return fields | prefixed("feature", dict(prediction.features))


def to_graph(traced: Traced) -> pb.Graph:
    """The answer."""
    graph = pb.Graph()
    for node in traced.nodes:
        graph.nodes.add(id=node.id, kind=node.kind, name=node.name, attributes=node.attributes, since=node.since)
    for edge in traced.edges:
        # "from" is a word of Python's.
        graph.edges.add(**{"from": edge.source}, to=edge.target, kind=edge.kind, since=edge.since)
    return graph


def to_entries(found: Found) -> pb.SearchCatalogueResponse:
    """The answer."""
    answer = pb.SearchCatalogueResponse(total=found.total, next_page_token=found.next)
    for document in found.documents:
        answer.entries.add(
            id=document.id,
            kind=document.kind,
            title=document.title,
            text=document.text,
            tags=document.tags,
            since=document.position,
        )
    answer.kinds.extend(pb.Facet(name=name, count=count) for name, count in found.kinds.items())
    answer.tags.extend(pb.Facet(name=name, count=count) for name, count in found.tags.items())
    return answer


def _time(stamp: Timestamp) -> str:
    return stamp.ToJsonString() if stamp.seconds or stamp.nanos else ""
