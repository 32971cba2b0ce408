"""Composition root of monitoring: chooses the adapters and wires them."""

from __future__ import annotations

import asyncio
from functools import partial

from modelog_common.adapters import open_blobs, open_series
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import EVENTS as EVENT_TOPICS
from modelog_common.bus.topics import OUTCOMES, sender_of
from modelog_common.domain.errors import NotFound
from modelog_common.events.entities import Entities
from modelog_common.outbound.reach import Reach, networks_of
from modelog_common.rpc.sight import Sight
from modelog_common.service import Host
from modelog_proto.monitoring.v1.abtest_pb2_grpc import add_AbTestsServicer_to_server
from modelog_proto.monitoring.v1.level_pb2_grpc import add_ServiceLevelsServicer_to_server
from modelog_proto.monitoring.v1.monitoring_pb2_grpc import add_MonitoringServiceServicer_to_server

from modelog_monitoring.abtest.decide import AB_TEST
from modelog_monitoring.api.ab_tests import AbTestsServicer
from modelog_monitoring.api.levels import ServiceLevelsServicer
from modelog_monitoring.api.monitoring import MonitoringServicer
from modelog_monitoring.data.ingest import BATCHES_AT_ONCE, TOPICS, Ingest
from modelog_monitoring.data.store import CONSUMER as DATA_CONSUMER
from modelog_monitoring.data.store import Kind, WindowStore
from modelog_monitoring.events import EVENTS
from modelog_monitoring.handle.ab_tests import AbTests
from modelog_monitoring.handle.monitors import Monitors, Policies
from modelog_monitoring.handle.reference import References
from modelog_monitoring.level.decide import LEVEL
from modelog_monitoring.monitor.decide import MONITOR
from modelog_monitoring.peers import Registry, Serving, Training
from modelog_monitoring.policy.decide import POLICY
from modelog_monitoring.react.ab_watch import AbWatch
from modelog_monitoring.react.canary_rows import CanaryRows
from modelog_monitoring.react.catalog import Catalog
from modelog_monitoring.react.deliver import Deliverer
from modelog_monitoring.react.fresh import FreshRows
from modelog_monitoring.react.inbox import CONSUMER as INBOX_CONSUMER
from modelog_monitoring.react.inbox import Inbox
from modelog_monitoring.react.learning_inbox import CONSUMER as LEARNING_CONSUMER
from modelog_monitoring.react.learning_inbox import LearningInbox
from modelog_monitoring.react.learning_watch import LearningWatch
from modelog_monitoring.react.ledger import Ledger
from modelog_monitoring.react.level_inbox import CONSUMER as LEVEL_CONSUMER
from modelog_monitoring.react.level_inbox import LevelInbox
from modelog_monitoring.react.level_watch import LevelWatch
from modelog_monitoring.react.retrain import Retrainer
from modelog_monitoring.react.settled import Settled
from modelog_monitoring.react.steps import Steps
from modelog_monitoring.react.windows import WindowWatch
from modelog_monitoring.read.ab_queries import AbTestQueries
from modelog_monitoring.read.level_queries import LevelQueries
from modelog_monitoring.read.project import projections
from modelog_monitoring.read.queries import MonitoringQueries
from modelog_monitoring.read.series import SeriesProjection
from modelog_monitoring.read.tables import TABLES
from modelog_monitoring.retraining.decide import RETRAINING
from modelog_monitoring.scoring import Scorer
from modelog_monitoring.sight import VOCABULARY, Watched

SERVICE = "modelog.monitoring.v1.MonitoringService"
AB_SERVICE = "modelog.monitoring.v1.AbTests"
LEVEL_SERVICE = "modelog.monitoring.v1.ServiceLevels"
# Profiles of reference data stand beside the other blobs, in a folder of monitoring's own.
PROFILES = "monitoring"


async def build(host: Host) -> None:
    """Wire monitoring into a host."""
    store = host.store
    registry, training = Registry(host.peer("registry")), Training(host.peer("training"))
    serving, scorer = Serving(host.peer("serving")), Scorer(host.peer("serving_oip"))
    data = WindowStore(host.data_dir / "windows.db")
    series = open_series(host.settings, host.name)
    references = References(registry, open_blobs(host.settings, PROFILES))
    monitors = Entities(store, MONITOR, EVENTS, host.snapshots)
    policies = Entities(store, POLICY, EVENTS)
    retrainings = Entities(store, RETRAINING, EVENTS)
    ab_tests = Entities(store, AB_TEST, EVENTS, host.snapshots)
    levels = Entities(store, LEVEL, EVENTS, host.snapshots)

    catalog = Catalog(store)
    ledger = Ledger(host.data_dir / "deliveries.db")
    reach = Reach(networks_of(host.settings.webhook_networks))
    deliverer = Deliverer(monitors, catalog, ledger, host.subjects, reach, host.clock)
    settled = Settled()
    watch = WindowWatch(monitors, catalog, data, references, settled, host.clock)
    ab_watch = AbWatch(ab_tests, catalog, data, serving, store, host.clock)
    inbox = Inbox(host.data_dir / "inbox.db", store.history)
    level_inbox = LevelInbox(host.data_dir / "levels.db", store.history)
    level_watch = LevelWatch(levels, monitors, catalog, level_inbox, host.clock)
    level_inbox.on_change(level_watch.bell.ring)
    learning_inbox = LearningInbox(host.data_dir / "learning.db", store.history)
    learning_watch = LearningWatch(monitors, catalog, learning_inbox, host.clock)
    learning_inbox.on_change(learning_watch.bell.ring)
    steps = Steps(
        retrainings, monitors, registry, training, serving, scorer, FreshRows(data), CanaryRows(data), inbox, host.clock
    )
    retrainer = Retrainer(store, catalog, inbox, retrainings, steps, registry, training, serving, settled, host.clock)
    settled.on_change(retrainer.bell.ring)
    inbox.on_change(retrainer.bell.ring)
    for bell in (deliverer.bell, watch.bell, retrainer.bell, ab_watch.bell):
        catalog.on_change(bell.ring)
    ingest = Ingest(data, watch.bell.ring, retrainer.bell.ring, ab_watch.bell.ring)

    watched = Watched(monitors, policies, retrainings, ab_tests, serving)
    host.narrow(Sight(lambda: host.peer("registry"), VOCABULARY, watched.things_of))

    projected = SeriesProjection(store, series)
    tables = host.project(TABLES, projections(store))
    queries = MonitoringQueries(tables, data, projected, settled, deliverer.status)
    servicer = MonitoringServicer(
        Monitors(monitors, references, serving, host.subjects, reach),
        Policies(policies, monitors, registry),
        queries,
        host.clock,
    )
    host.serve(add_MonitoringServiceServicer_to_server, servicer, SERVICE)
    tenant = host.verifier.verify(host.token).tenant
    tests = AbTestsServicer(AbTests(ab_tests, serving, data, tenant), AbTestQueries(tables), host.clock)
    host.serve(add_AbTestsServicer_to_server, tests, AB_SERVICE)
    host.serve(add_ServiceLevelsServicer_to_server, ServiceLevelsServicer(LevelQueries(tables)), LEVEL_SERVICE)
    host.rebuildable("series", projected)
    host.stream_progress(lambda tenant, producer, topic: stream_progress(data, tenant, producer, topic))

    host.before_serving(catalog.refresh)
    host.background("catalog", catalog.run)
    host.background("series", projected.run)
    host.background("window watch", watch.run)
    host.background("alert delivery", deliverer.run)
    host.background("retraining", retrainer.run)
    host.background("A/B tests", ab_watch.run)
    host.background("service levels", level_watch.run)
    host.background("models that learn", learning_watch.run)
    if host.data_broker is not None:
        broker, dead = host.data_broker, host.dead_letters
        batches = Consumer(
            broker, TOPICS, DATA_CONSUMER, data.progress, dead, history=store.history, batch=BATCHES_AT_ONCE
        )
        host.stream(batches)
        host.background("data plane", lambda: batches.run(ingest.handle))
    if host.event_bus is not None:
        for name, services, consumer, box in (
            ("inbox", ("training", "registry"), INBOX_CONSUMER, inbox),
            ("traffic", ("serving", "registry"), LEVEL_CONSUMER, level_inbox),
            ("learning", ("serving",), LEARNING_CONSUMER, learning_inbox),
        ):
            topics = [EVENT_TOPICS[service] for service in services]
            told = Consumer(host.event_bus, topics, consumer, box.progress, host.dead_letters, history=store.history)
            host.stream(told)
            host.background(name, partial(told.run, of_events(box.handle)))


async def stream_progress(data: WindowStore, tenant: str, producer: str, topic: str) -> int:
    """How far the outcomes of a tenant's producer are stored; raises NotFound for other topics."""
    if topic != OUTCOMES.kind:
        raise NotFound(f"monitoring counts no producers of {topic!r}; it does those of {OUTCOMES.kind}")
    return await asyncio.to_thread(data.sequence, Kind.OUTCOMES, sender_of(tenant, producer))
