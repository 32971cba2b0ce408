"""What the registry appends, other services read from Kafka."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from modelog_common.bus.envelope import Poison, to_event
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import EVENTS
from modelog_common.events.store import StoredEvent
from modelog_proto.registry.v1 import experiment_pb2, model_pb2


async def events_on(bootstrap: str, count: int) -> list[StoredEvent]:
    """The first events of the registry's topic, which is made with the first of them."""
    topic, broker = EVENTS["registry"].of("acme"), KafkaBroker(bootstrap)
    await broker.open(topic)
    reader = broker.reader("test", {(topic.name, 0): 0})
    found: list[StoredEvent] = []
    try:
        async with asyncio.timeout(150):
            while len(found) < count:
                for batch in (await reader.next(100, 1)).values():
                    assert not any(isinstance(message, Poison) for message in batch)
                    found += [to_event(message) for message in batch if not isinstance(message, Poison)]
    finally:
        await reader.close()
    return found


async def test_every_step_is_published_in_order(published: Any) -> None:
    registry, bootstrap = published
    alice, bob = registry.person("alice"), registry.person("bob")
    await alice.upload()
    await alice.experiment()
    run = await alice.run()
    points = [experiment_pb2.MetricPoint(name="auc", value=float("nan"))]
    await alice.experiments.LogRun(experiment_pb2.LogRunRequest(run_id=run.id, metrics=points))
    model = await alice.model()
    await alice.version()
    approved = await bob.review("1.0.0")
    await alice.promote("1.0.0", model_pb2.STAGE_STAGING)
    produced = await alice.promote("1.0.0", model_pb2.STAGE_PRODUCTION)

    events = await events_on(bootstrap, 10)
    assert [e.type for e in events] == [
        "registry.NameTaken",
        "registry.ExperimentCreated",
        "registry.RunStarted",
        "registry.RunLogged",
        "registry.NameTaken",
        "registry.ModelRegistered",
        "registry.VersionRegistered",
        "registry.VersionReviewed",
        "registry.VersionPromoted",
        "registry.VersionPromoted",
    ]
    assert [e.position for e in events] == list(range(1, 11))
    assert (events[7].actor, events[6].tenant, events[6].stream) == ("bob", "acme", f"registry.model-{model.id}")
    logged, last = json.loads(events[3].payload), json.loads(events[-1].payload)
    assert logged["metrics"][0]["value"] == "NaN"
    assert (last["from_stage"], last["to_stage"], last["by"]) == ("staging", "production", "alice")
    assert last["approval_id"] == approved.reviews[0].approval_id
    assert events[-1].position == produced.position
