"""The composition root of serving: every port gets its adapter here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from modelog_common.adapters import open_cache
from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.bus.publisher import LogPublisher
from modelog_common.bus.source import Consumer
from modelog_common.bus.topics import INFERENCE_REQUESTS, PREDICTIONS
from modelog_common.events.entities import Entities
from modelog_common.read.project import EntityProjection
from modelog_common.read.queries import Queries
from modelog_common.rpc.sight import Sight
from modelog_common.security.permissions import PUBLIC
from modelog_common.service import Host
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_common.stores.cache import Cache
from modelog_common.stores.cache.memory import MemoryCache
from modelog_common.telemetry import metrics
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from modelog_proto.serving.v1.deployment_pb2_grpc import add_DeploymentServiceServicer_to_server
from modelog_proto.serving.v1.release_pb2_grpc import add_ReleasesServicer_to_server

from modelog_serving.api import inference as inference_api
from modelog_serving.api import releases as releases_api
from modelog_serving.api.deployments import FULL_NAME, DeploymentServicer
from modelog_serving.api.export import exported
from modelog_serving.api.live import Live
from modelog_serving.control import Control, DeploymentEntities
from modelog_serving.deployment.decide import DEPLOYMENTS
from modelog_serving.engine.batcher import Batcher
from modelog_serving.engine.models import Models
from modelog_serving.events import EVENTS
from modelog_serving.failure.decide import FAILURES
from modelog_serving.kubernetes import replicas
from modelog_serving.oip.core import Inference
from modelog_serving.oip.fast import METHOD, FastInfer
from modelog_serving.oip.fast_batch import Parts
from modelog_serving.oip.fast_rest import FastRest
from modelog_serving.oip.fast_turn import Turn
from modelog_serving.oip.listen import GrpcListener, HttpListener
from modelog_serving.oip.repository import Repository
from modelog_serving.oip.rest_calls import RestCalls
from modelog_serving.oip.rest_edge import RestEdge
from modelog_serving.oip.rest_invocations import Invocations
from modelog_serving.oip.rest_repository import RepositoryCalls
from modelog_serving.oip.rest_routes import RestRoutes
from modelog_serving.predlog.evidence import Evidence
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.publish import PredictionSource
from modelog_serving.predlog.replay import Replay
from modelog_serving.predlog.retention import Retention
from modelog_serving.predlog.seal import Sealer
from modelog_serving.read.latencies import traffic_rows
from modelog_serving.read.releases import release_rows
from modelog_serving.read.tables import METADATA, rows
from modelog_serving.registry import ArtifactFiles, RegistryVersions
from modelog_serving.release.decide import RELEASES
from modelog_serving.releasing.board import Board
from modelog_serving.releasing.control import ReleaseControl
from modelog_serving.releasing.mirror import Mirror
from modelog_serving.releasing.outcomes import Outcomes
from modelog_serving.releasing.traffic import Mover
from modelog_serving.releasing.watch import ReleaseWatch
from modelog_serving.routing.caching import AnswerCache
from modelog_serving.routing.concurrency import Concurrency
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.failures import FailureLog
from modelog_serving.routing.guards import Guards
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Routes
from modelog_serving.routing.warmup import Warmup
from modelog_serving.routing.windows import TrafficWindows
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.segment.decide import SEGMENTS
from modelog_serving.settings import ServingSettings, load_serving_settings
from modelog_serving.sight import VOCABULARY, models_of
from modelog_serving.stream.consumer import CONSUMER, RequestStream
from modelog_serving.traffic.decide import TRAFFIC

PREDICTION_FILE = "predictions.db"
MODEL_FOLDER = "models"
# Batches are large: so many are published, or answered, at once.
PUBLISHED_BATCHES = 500
REQUESTS_AT_ONCE = 500


async def build(host: Host) -> None:
    """Put the service together."""
    own = load_serving_settings()
    log = await PredictionLog.open(host.data_dir / PREDICTION_FILE, host.clock, own.log_max_bytes)
    only = own.answers_for()
    routes, counters, batcher = Routes(host.store, only), Counters(), Batcher()
    files = ArtifactFiles(FolderBlobStore(host.data_dir / MODEL_FOLDER), partial(host.peer, "registry"))
    models = Models(files, LazyRuntimes(own.threads, own.limits), own.models)
    warmup = Warmup(routes, models, strict=only is not None)
    versions = RegistryVersions(partial(host.peer, "registry"), host.store.head)
    meter = Meter(host.clock, timedelta(seconds=own.traffic_window_s))
    _gauges(meter)
    mirror = Mirror(models)
    models.keep(lambda: routes.digests() | mirror.digests())
    cache = AnswerCache(_caches(host), own.cache_patience_ms / 1000)
    failures = FailureLog(routes, Entities(host.store, FAILURES, EVENTS, host.snapshots), host.clock)
    guards = Guards(meter, failures.record, host.clock)
    metrics.observe_all(metrics.BREAKER_STATE, "1", "0 closed, 1 half open, 2 open", guards.states)
    inference = Inference(routes, models, batcher, log, versions, counters, meter, mirror, cache, guards, host.clock)
    stream = RequestStream(routes, models, batcher, log, counters)
    windows = TrafficWindows(meter, Entities(host.store, TRAFFIC, EVENTS, host.snapshots), host.clock)
    models.tell(failures.failed)
    host.on_stop(failures.tell)
    # Before the listeners are added, so that it is done when they have stopped.
    host.on_stop(windows.finish)
    host.background("traffic windows", windows.run)
    host.background("failures of models", failures.run)
    deployments = Entities(host.store, DEPLOYMENTS, EVENTS, host.snapshots)
    sight = Sight(partial(host.peer, "registry"), VOCABULARY, partial(models_of, deployments))
    host.narrow(sight)
    evidence = _evidence(host, log, own)
    if only is None:
        # A replica leaves to the process that decides what is done once for all of them.
        for category in (TRAFFIC.category, FAILURES.category, SEGMENTS.category):
            host.publish(category)
        live, control = (
            Live(routes, warmup, counters, cache, guards, meter),
            Control(deployments, versions, models, routes),
        )
        replay = Replay(log, inference, models, batcher)
        queries = _control_plane(host, evidence, replay, live, control)
        _releases(host, queries, live, control, deployments, versions, models, routes, meter, mirror)
        _streams(host, stream)
        if own.replicas == "kubernetes":
            replicas.start(host, routes, deployments)
    repository = Repository(inference, routes, models, counters, meter, sight.left_of)
    parts = Parts(log, counters, meter, host.clock)
    turn = Turn(routes, models, batcher, host.verifier, parts, inference.plain)
    _data_plane(host, inference, repository, routes, warmup, turn)
    published = _predictions(host, log)
    retention = Retention(log, published, host.clock, own.log_keep_s, own.log_max_bytes)
    host.background("prediction retention", retention.run)
    host.background("routes", routes.run, before=routes.catch_up)
    host.background("warm-up", warmup.run)
    host.background("circuit breakers", partial(guards.run, routes))
    host.background("answer cache", partial(cache.run, routes))
    host.background("resources", partial(_held, batcher.close, models.close, log.close, cache.close))


def _caches(host: Host) -> Callable[[int], Cache]:
    """Opens a cache of so many bytes for a deployment: its own in this process, or the one that all share."""
    if not host.settings.cache.get_secret_value():
        return MemoryCache
    shared = open_cache(host.settings, host.name)
    return lambda _max_bytes: shared


def _gauges(meter: Meter) -> None:
    """What autoscalers go by."""
    waiting, mean = "Requests that wait for an answer, in the mean", Concurrency(meter.busy_s).mean
    metrics.observe(metrics.REQUESTS_UNDER_WAY, "{request}", waiting, mean)
    metrics.observe(metrics.LATENCY_P95, "ms", "95 of 100 answers took no longer", meter.p95_ms)


def _evidence(host: Host, log: PredictionLog, own: ServingSettings) -> Evidence:
    """The prediction log, sealed."""
    entities = Entities(host.store, SEGMENTS, EVENTS, host.snapshots)
    # Of a small log a segment is a small part, so that there is always one that can be dropped.
    most_bytes = min(own.segment_bytes, own.log_max_bytes // 16 or own.segment_bytes)
    sealer = Sealer(log, entities, host.clock, own.segment_s, most_bytes)
    host.background("prediction sealer", sealer.run)
    return Evidence(log, sealer)


def _control_plane(host: Host, evidence: Evidence, replay: Replay, live: Live, control: Control) -> Queries:
    queries = host.project(
        METADATA,
        [
            EntityProjection(host.store, DEPLOYMENTS, EVENTS, rows),
            EntityProjection(host.store, RELEASES, EVENTS, release_rows),
            EntityProjection(host.store, TRAFFIC, EVENTS, traffic_rows),
        ],
    )
    servicer = DeploymentServicer(
        control, queries, live, evidence, replay, host.clock, partial(exported, host.settings)
    )
    host.serve(add_DeploymentServiceServicer_to_server, servicer, FULL_NAME)
    return queries


def _releases(
    host: Host,
    queries: Queries,
    live: Live,
    control: Control,
    deployments: DeploymentEntities,
    versions: RegistryVersions,
    models: Models,
    routes: Routes,
    meter: Meter,
    mirror: Mirror,
) -> None:
    releases = Entities(host.store, RELEASES, EVENTS, host.snapshots)
    board, outcomes = Board(host.store), Outcomes(partial(host.peer, "monitoring"))
    mover = Mover(deployments, models, routes, host.clock)
    watch = ReleaseWatch(releases, board, mover, outcomes, routes, meter, mirror, host.clock)
    releasing = ReleaseControl(control, deployments, releases, versions, board, watch, mover, outcomes, meter)
    servicer = releases_api.ReleasesServicer(releasing, queries, live, host.clock)
    host.serve(add_ReleasesServicer_to_server, servicer, releases_api.FULL_NAME)
    host.background("releases", watch.run)
    host.background("shadows", mirror.run)


def _data_plane(
    host: Host, inference: Inference, repository: Repository, routes: Routes, warmup: Warmup, turn: Turn
) -> None:
    settings = host.settings
    servicer = inference_api.InferenceServicer(inference, repository, warmup, host.verifier)
    grpc = GrpcListener(settings, host.verifier)
    # The tokens are looked at by the servicer, because the protocol lets anybody ask whether the server lives.
    grpc.server.add(
        add_GRPCInferenceServiceServicer_to_server,
        servicer,
        inference_api.FULL_NAME,
        permission=PUBLIC,
        validated=False,
    )
    grpc.server.add_direct(f"/{METHOD}", FastInfer(turn).take)
    addresses = RestRoutes()
    RepositoryCalls(inference, repository).add_to(addresses)
    RestCalls(inference, warmup).add_to(addresses)
    Invocations(inference, routes, warmup).add_to(addresses)
    rest = RestEdge(addresses, host.verifier)
    http = HttpListener(settings, rest, FastRest(turn, addresses).take)
    host.before_serving(partial(grpc.start, host.endpoints, "oip_grpc"))
    host.before_serving(partial(http.start, host.endpoints, "http"))
    host.on_stop(grpc.stop)
    host.on_stop(http.stop)


def _predictions(host: Host, log: PredictionLog) -> Callable[[], int]:
    """Publishes the log; gives how far it was. Without a bus nothing waits for it."""
    broker = host.data_broker
    if broker is None:
        return lambda: sys.maxsize
    # How far it was published belongs to this very log: another log's progress must not be taken for it.
    published = SqliteRelayProgress(host.data_dir / f"published-{log.log_id}.db")
    publisher = LogPublisher(
        PredictionSource(log, host.store.history), PREDICTIONS, broker, published, batch=PUBLISHED_BATCHES
    )
    host.stream(publisher)
    host.background("prediction publisher", publisher.run)
    return lambda: publisher.position


def _streams(host: Host, stream: RequestStream) -> None:
    host.stream_progress(stream.progress)
    broker = host.data_broker
    if broker is None:
        return
    consumer = Consumer(broker, [INFERENCE_REQUESTS], CONSUMER, stream, host.dead_letters, batch=REQUESTS_AT_ONCE)
    host.stream(consumer)
    host.background("request stream", partial(consumer.run, stream.handle))


async def _held(*close: Callable[[], Awaitable[None]]) -> None:
    """Keep what background work uses until that work ends, then close it."""
    try:
        await asyncio.Event().wait()
    finally:
        for each in close:
            await each()
