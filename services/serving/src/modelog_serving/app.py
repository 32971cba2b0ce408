"""The composition root of serving: every port gets its adapter here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import EVENTS as EVENT_TOPICS
from modelog_common.bus.topics import INFERENCE_REQUESTS, OUTCOMES
from modelog_common.events.entities import Entities
from modelog_common.read.project import EntityProjection
from modelog_common.read.queries import Queries
from modelog_common.service import Host
from modelog_common.telemetry import metrics
from modelog_proto.serving.v1.deployment_pb2_grpc import add_DeploymentServiceServicer_to_server
from modelog_proto.serving.v1.learning_pb2_grpc import add_LearningServiceServicer_to_server
from modelog_proto.serving.v1.release_pb2_grpc import add_ReleasesServicer_to_server
from modelog_proto.serving.v1.trial_pb2_grpc import add_TrialsServicer_to_server

from modelog_serving.api import learning as learning_api
from modelog_serving.api import releases as releases_api
from modelog_serving.api.deployments import FULL_NAME, DeploymentServicer
from modelog_serving.api.export import exported
from modelog_serving.api.live import Live
from modelog_serving.api.trials import FULL_NAME as TRIALS_NAME
from modelog_serving.api.trials import TrialsServicer
from modelog_serving.control import Control
from modelog_serving.crew.autoscaler import Autoscaler
from modelog_serving.crew.begins import begins_of
from modelog_serving.crew.crew import Crew
from modelog_serving.crew.everywhere import Asked, Everywhere
from modelog_serving.crew.port import Port
from modelog_serving.crew.reports import Counted
from modelog_serving.deployment.decide import DEPLOYMENTS
from modelog_serving.events import EVENTS
from modelog_serving.failure.decide import FAILURES
from modelog_serving.kubernetes import replicas
from modelog_serving.learning.decide import LEARNINGS
from modelog_serving.learning.state import ON, PAUSED
from modelog_serving.oip.processes import OneProcess
from modelog_serving.plane import Plane, listen, plane_of
from modelog_serving.predlog.evidence import Evidence
from modelog_serving.predlog.keeping import KeptLogs, keep_logs
from modelog_serving.predlog.personal import PersonalTexts
from modelog_serving.predlog.replay import Replay
from modelog_serving.read.latencies import traffic_rows
from modelog_serving.read.learning import learning_rows
from modelog_serving.read.releases import release_rows
from modelog_serving.read.tables import METADATA, rows
from modelog_serving.read.trials import trial_rows
from modelog_serving.release.decide import RELEASES
from modelog_serving.releasing.board import Board
from modelog_serving.releasing.control import ReleaseControl
from modelog_serving.releasing.outcomes import Outcomes
from modelog_serving.releasing.traffic import Mover
from modelog_serving.releasing.watch import ReleaseWatch
from modelog_serving.routing.concurrency import Concurrency
from modelog_serving.routing.failures import FailureLog
from modelog_serving.routing.idle import Idle
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.windows import TrafficWindows
from modelog_serving.runtimes.beside import Beside
from modelog_serving.segment.decide import SEGMENTS
from modelog_serving.settings import ServingSettings, load_serving_settings
from modelog_serving.stream.consumer import CONSUMER, RequestStream
from modelog_serving.teaching import labels as labels_of
from modelog_serving.teaching.control import LearningControl
from modelog_serving.teaching.intake import LabelIntake
from modelog_serving.teaching.labels import LabelFile
from modelog_serving.teaching.pupil import Pupils
from modelog_serving.teaching.steps import Steps
from modelog_serving.teaching.teacher import Teacher
from modelog_serving.traffic.decide import TRAFFIC
from modelog_serving.trial.decide import TRIALS
from modelog_serving.trying.asked import TrialsAsked
from modelog_serving.trying.inbox import CONSUMER as INBOX
from modelog_serving.trying.inbox import TrialInbox
from modelog_serving.trying.trier import Trier

MODEL_FOLDER = "models"
# Batches are large: so many are answered at once.
REQUESTS_AT_ONCE = 500
LABELS_FILE = "labels.db"


async def build(host: Host) -> None:
    """Put the service together."""
    own = load_serving_settings()
    kept = await keep_logs(host, own)
    await asyncio.to_thread(Beside(host.data_dir / MODEL_FOLDER).sweep)
    plane = plane_of(
        host, own, kept.logs.own, kept.paths[1:], host.data_dir / MODEL_FOLDER, lambda *of: failures.record(*of)
    )
    _gauges(plane.meter)
    windows = TrafficWindows(plane.meter, Entities(host.store, TRAFFIC, EVENTS, host.snapshots), host.clock)
    failures = FailureLog(plane.routes, Entities(host.store, FAILURES, EVENTS, host.snapshots), host.clock)
    plane.models.tell(failures.failed)
    host.on_stop(failures.tell)
    # Before the listeners are added, so that it is done when they have stopped.
    host.on_stop(windows.finish)
    host.background("traffic windows", windows.run)
    host.background("failures of models", failures.run)
    host.narrow(plane.sight)
    host.before_serving(plane.routes.catch_up)
    crew = await _crew(host, own, plane, failures, kept) if own.crew() else None
    if own.answers_for() is None:
        # A replica leaves to the process that decides what is done once for all of them.
        _deciding(host, own, plane, crew, kept, windows)
    if crew is None:
        listen(host, plane, OneProcess(plane.routes, plane.models, plane.meter, plane.counters), shared=False)
    kept.look_after(host)
    host.background("routes", plane.routes.run)
    host.background("warm-up", plane.warmup.run)
    if crew is None:
        host.background("circuit breakers", partial(plane.guards.run, plane.routes))
    host.background("answer cache", partial(plane.cache.run, plane.routes))
    closing = [plane.batcher.close, plane.models.close, *(log.close for log in kept.logs.all), plane.cache.close]
    host.background("resources", partial(_held, *closing))


async def _crew(host: Host, own: ServingSettings, plane: Plane, failures: FailureLog, kept: KeptLogs) -> Crew:
    """The processes that answer requests beside this one."""
    settings = host.settings
    grpc = await Port.take(settings.service_host, settings.oip_grpc_port, "MODELOG_OIP_GRPC_PORT")
    http = await Port.take(settings.service_host, settings.http_port, "MODELOG_HTTP_PORT")
    ports = {"oip_grpc_port": grpc.number, "http_port": http.number}
    shared = own.changed(log_max_bytes=kept.most_bytes)
    begins = begins_of(settings, shared, host.data_dir, host.data_dir / MODEL_FOLDER, kept.paths, ports)
    counted = Counted(plane.meter, plane.counters, plane.cache, plane.mirror, plane.guards)
    published = [kept.published_of(begin.log) for begin in begins]
    crew = Crew(begins, plane.routes, counted, failures, published, settings.drain_s)
    scheme = "http" if settings.tls_certificate_file is None else "https"
    host.endpoints["oip_grpc"] = f"{settings.service_host}:{grpc.number}"
    host.endpoints["http"] = f"{scheme}://{settings.service_host}:{http.number}"
    host.before_serving(crew.start)
    host.background("workers", crew.run)
    host.on_stop(crew.stop)
    host.on_close(grpc.close)
    host.on_close(http.close)
    return crew


def _deciding(
    host: Host, own: ServingSettings, plane: Plane, crew: Crew | None, kept: KeptLogs, windows: TrafficWindows
) -> None:
    everywhere = Everywhere(plane.models, plane.routes, crew)
    for category in (TRAFFIC.category, FAILURES.category, SEGMENTS.category):
        host.publish(category)
    live = Live(plane.routes, plane.warmup, plane.counters, plane.cache, plane.guards, windows, crew, own.replicas)
    control = Control(plane.deployments, plane.versions, everywhere, plane.verdicts)
    replay = Replay(kept.logs, plane.inference, plane.models, plane.batcher, plane.personal)
    queries = _control_plane(host, kept.evidence, replay, live, control, plane.personal)
    _releases(host, queries, live, control, plane, everywhere)
    _learning(host, own, queries, plane, everywhere, kept)
    _trials(host, own, queries, plane)
    _streams(host, RequestStream(plane.routes, plane.models, plane.batcher, plane.log, plane.counters))
    idle = Idle(plane.routes, plane.models, plane.meter, _nobody if crew is None else crew.rest)
    host.background("deployments that rest", idle.run)
    if crew is not None:
        crew.answer_by(Asked(everywhere, crew.counted).answer)
        host.background("autoscaler", Autoscaler(crew, plane.routes, plane.meter).run)
    if own.replicas == "kubernetes":
        replicas.start(host, plane.routes, plane.deployments)
    if own.replicas == "ray":
        from modelog_serving.rayserve.replicas import start

        start(host, own, plane)


def _nobody(_resting: Iterable[str]) -> None:
    """No other process has models."""


def _gauges(meter: Meter) -> None:
    """What autoscalers go by."""
    waiting, mean = "Requests that wait for an answer, in the mean", Concurrency(meter.busy_s).mean
    metrics.observe(metrics.REQUESTS_UNDER_WAY, "{request}", waiting, mean)
    metrics.observe(metrics.LATENCY_P95, "ms", "95 of 100 answers took no longer", meter.p95_ms)


def _control_plane(
    host: Host, evidence: Evidence, replay: Replay, live: Live, control: Control, personal: PersonalTexts
) -> Queries:
    queries = host.project(
        METADATA,
        [
            EntityProjection(host.store, DEPLOYMENTS, EVENTS, rows),
            EntityProjection(host.store, RELEASES, EVENTS, release_rows),
            EntityProjection(host.store, TRAFFIC, EVENTS, traffic_rows),
            EntityProjection(host.store, LEARNINGS, EVENTS, learning_rows),
            EntityProjection(host.store, TRIALS, EVENTS, trial_rows),
        ],
    )
    servicer = DeploymentServicer(
        control, queries, live, evidence, replay, personal, host.clock, partial(exported, host.settings)
    )
    host.serve(add_DeploymentServiceServicer_to_server, servicer, FULL_NAME)
    return queries


def _releases(host: Host, queries: Queries, live: Live, control: Control, plane: Plane, everywhere: Everywhere) -> None:
    deployments, versions, meter = plane.deployments, plane.versions, plane.meter
    releases = Entities(host.store, RELEASES, EVENTS, host.snapshots)
    board, outcomes = Board(host.store), Outcomes(partial(host.peer, "monitoring"))
    mover = Mover(deployments, everywhere, host.clock)
    watch = ReleaseWatch(releases, board, mover, outcomes, plane.routes, meter, plane.mirror, host.clock)
    releasing = ReleaseControl(control, deployments, releases, versions, board, watch, mover, outcomes, meter)
    servicer = releases_api.ReleasesServicer(releasing, queries, live, host.clock)
    host.serve(add_ReleasesServicer_to_server, servicer, releases_api.FULL_NAME)
    host.background("releases", watch.run)
    host.background("shadows", plane.mirror.run)


def _learning(
    host: Host, own: ServingSettings, queries: Queries, plane: Plane, everywhere: Everywhere, kept: KeptLogs
) -> None:
    labels, steps = LabelFile(host.data_dir / LABELS_FILE, host.store.history), Steps(host.store)
    entities = Entities(host.store, LEARNINGS, EVENTS, host.snapshots)
    pupils, routes, broker = Pupils(plane.files.fetch, own.limits), plane.routes, host.data_broker
    control = LearningControl(
        plane.deployments, entities, steps, labels, pupils, plane.files, everywhere, labels_come=broker is not None
    )
    servicer = learning_api.LearningServicer(control, queries, host.clock)
    host.serve(add_LearningServiceServicer_to_server, servicer, learning_api.FULL_NAME)
    teacher = Teacher(routes, entities, steps, labels, kept.evidence, pupils, plane.files, everywhere, host.clock)
    host.background("learning", teacher.run)
    host.background("labels' resources", partial(_held, pupils.close, partial(asyncio.to_thread, labels.close)))
    if broker is None:
        return

    def wanted(tenant: str, deployment: str) -> bool:
        learning = routes.learning(tenant, deployment)
        return learning is not None and learning.mode in (ON, PAUSED)

    intake = LabelIntake(labels, wanted, host.clock)
    consumer = Consumer(
        broker, [OUTCOMES], labels_of.CONSUMER, labels.progress, host.dead_letters, history=host.store.history
    )
    host.stream(consumer)
    host.background("labels", partial(consumer.run, intake.handle))


def _trials(host: Host, own: ServingSettings, queries: Queries, plane: Plane) -> None:
    """Versions are tried by the process that decides, as the registry tells of them."""
    not_trying = "" if own.trials else "versions are not tried here: MODELOG_SERVING_TRIALS is false"
    if host.event_bus is None:
        not_trying = "versions are not tried here: there are no topics that tell of them (MODELOG_KAFKA_BOOTSTRAP)"
    inbox = TrialInbox(host.data_dir / "trials.db", host.store.history)
    entities, at = Entities(host.store, TRIALS, EVENTS, host.snapshots), host.data_dir / MODEL_FOLDER
    trier = Trier(inbox, plane.verdicts, entities, plane.files, at, own.threads, host.clock)
    servicer = TrialsServicer(TrialsAsked(queries, plane.versions, trier, not_trying), host.clock)
    host.serve(add_TrialsServicer_to_server, servicer, TRIALS_NAME)
    host.on_close(inbox.closed)
    if host.event_bus is None or not_trying:
        return
    told = Consumer(
        host.event_bus, [EVENT_TOPICS["registry"]], INBOX, inbox.progress, host.dead_letters, history=host.store.history
    )
    host.stream(told)
    host.background("versions to try", partial(told.run, of_events(inbox.handle)))
    host.background("trials", trier.run)


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
