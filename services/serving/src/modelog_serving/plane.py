"""The parts that answer requests, in whichever process: the one that decides, a worker, or a replica in Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from modelog_common.adapters import open_cache
from modelog_common.events.entities import Entities
from modelog_common.rpc.sight import Sight
from modelog_common.security.permissions import PUBLIC
from modelog_common.service import Host
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_common.stores.cache import Cache
from modelog_common.stores.cache.memory import MemoryCache
from modelog_common.telemetry import metrics
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server

from modelog_serving.api import inference as inference_api
from modelog_serving.control import DeploymentEntities
from modelog_serving.deployment.decide import DEPLOYMENTS
from modelog_serving.engine.batcher import Batcher
from modelog_serving.engine.models import Models
from modelog_serving.engine.runtime import Runtimes
from modelog_serving.events import EVENTS
from modelog_serving.failure.commands import FailureCommand
from modelog_serving.oip.core import Inference
from modelog_serving.oip.fast import METHOD, FastInfer
from modelog_serving.oip.fast_batch import Parts
from modelog_serving.oip.fast_rest import FastRest
from modelog_serving.oip.fast_turn import Turn
from modelog_serving.oip.listen import GrpcListener, HttpListener
from modelog_serving.oip.processes import Processes
from modelog_serving.oip.repository import Repository
from modelog_serving.oip.rest_calls import RestCalls
from modelog_serving.oip.rest_edge import RestEdge
from modelog_serving.oip.rest_invocations import Invocations
from modelog_serving.oip.rest_repository import RepositoryCalls
from modelog_serving.oip.rest_routes import RestRoutes
from modelog_serving.predlog.followed import OtherLogs
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.personal import PersonalTexts
from modelog_serving.registry import ArtifactFiles, RegistryVersions
from modelog_serving.releasing.mirror import Mirror
from modelog_serving.routing.caching import AnswerCache
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.guards import Guards
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Routes
from modelog_serving.routing.warmup import Warmup
from modelog_serving.runtimes.beside import Beside
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.settings import ServingSettings
from modelog_serving.sight import VOCABULARY, models_of
from modelog_serving.trying.verdicts import Verdicts
from modelog_serving.worker.memory import hold_little


@dataclass(frozen=True)
class Plane:
    """What answers, what is answered by, and what counts."""

    log: PredictionLog
    routes: Routes
    runtimes: Runtimes
    files: ArtifactFiles
    models: Models
    batcher: Batcher
    warmup: Warmup
    versions: RegistryVersions
    counters: Counters
    meter: Meter
    mirror: Mirror
    cache: AnswerCache
    guards: Guards
    inference: Inference
    personal: PersonalTexts
    deployments: DeploymentEntities
    sight: Sight
    verdicts: Verdicts


def plane_of(
    host: Host,
    own: ServingSettings,
    log: PredictionLog,
    others: Sequence[Path],
    models_at: Path,
    record: Callable[[str, FailureCommand], None],
) -> Plane:
    """Put it together. Model files are kept in the folder `models_at`, which processes may share; ids that callers
    chose are looked for in the logs `others`, too; `record` takes what circuit breakers have to tell.
    """
    hold_little()
    only = own.answers_for()
    routes, counters, batcher = Routes(host.store, only), Counters(), Batcher()
    files = ArtifactFiles(FolderBlobStore(models_at), partial(host.peer, "registry"))
    runtimes, verdicts = _runtimes(own, models_at), Verdicts(host.store, own.limits)
    models = Models(files, runtimes, own.models, verdicts)
    warmup = Warmup(routes, models, strict=only is not None)
    versions = RegistryVersions(partial(host.peer, "registry"), host.store.head)
    meter = Meter(host.clock, timedelta(seconds=own.traffic_window_s))
    mirror = Mirror(models)
    models.keep(lambda: routes.digests() | mirror.digests())
    routes.when_left(models.drop)
    cache = AnswerCache(_caches(host), own.cache_patience_ms / 1000)
    guards = Guards(meter, record, host.clock)
    metrics.observe_all(metrics.BREAKER_STATE, "1", "0 closed, 1 half open, 2 open", guards.states)
    personal = PersonalTexts(host.subjects)
    inference = Inference(
        routes, models, batcher, log, versions, counters, meter, mirror, cache, guards, personal, host.clock
    )
    deployments: DeploymentEntities = Entities(host.store, DEPLOYMENTS, EVENTS, host.snapshots)
    sight = Sight(partial(host.peer, "registry"), VOCABULARY, partial(models_of, deployments))
    beside = OtherLogs(others)
    log.elsewhere(beside.known)
    host.on_close(beside.close)
    return Plane(
        log,
        routes,
        runtimes,
        files,
        models,
        batcher,
        warmup,
        versions,
        counters,
        meter,
        mirror,
        cache,
        guards,
        inference,
        personal,
        deployments,
        sight,
        verdicts,
    )


def listen(host: Host, plane: Plane, processes: Processes, *, shared: bool) -> None:
    """Answer requests on the ports of the protocol; with `shared` each of the processes has a part of what comes."""
    settings, inference, routes, warmup = host.settings, plane.inference, plane.routes, plane.warmup
    repository = Repository(inference, routes, plane.models, processes, plane.sight.left_of)
    parts = Parts(plane.log, plane.counters, plane.meter, host.clock)
    turn = Turn(routes, plane.models, plane.batcher, host.verifier, parts, inference.plain)
    plane.models.when_let_go(turn.forget)
    servicer = inference_api.InferenceServicer(inference, repository, warmup, host.verifier)
    grpc = GrpcListener(settings, host.verifier, host.tls, shared=shared)
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
    http = HttpListener(settings, rest, FastRest(turn, addresses).take, host.tls, shared=shared)
    host.before_serving(partial(grpc.start, host.endpoints, "oip_grpc"))
    host.before_serving(partial(http.start, host.endpoints, "http"))
    host.on_stop(grpc.stop)
    host.on_stop(http.stop)


def _runtimes(own: ServingSettings, models_at: Path) -> Runtimes:
    """Where models are computed: here, or by replicas."""
    if own.replicas != "ray":
        return LazyRuntimes(own.threads, own.limits, Beside(models_at))
    # Here, because only those who use it pay for what it imports.
    from modelog_serving.rayserve.replicas import runtimes_of

    return runtimes_of(own, models_at)


def _caches(host: Host) -> Callable[[int], Cache]:
    """Opens a cache of so many bytes for a deployment: its own in this process, or the one that all share."""
    if not host.settings.cache.get_secret_value():
        return MemoryCache
    shared = open_cache(host.settings, host.name)
    return lambda _max_bytes: shared
