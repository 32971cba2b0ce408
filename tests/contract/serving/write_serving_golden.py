"""Writes the golden file of every event type that has none yet; what is there stays, for it was once stored so.

Run it after adding an event type, or a version of one, with an example below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from modelog_serving.deployment.events import (
    DeploymentCreated,
    DeploymentEvent,
    DeploymentStopped,
    ShareSet,
    TrafficSet,
)
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.state import Deployment, evolve
from modelog_serving.events import EVENTS
from modelog_serving.read.tables import to_message
from modelog_serving.traffic.decide import TRAFFIC
from modelog_serving.traffic.events import TrafficMeasured, VersionTraffic
from modelog_serving.traffic.latency import Latencies

GOLDEN = Path(__file__).parent / "golden"
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ID = "f3a7b4c6-0000-5000-8000-000000000001"
EXAMPLES: Sequence[DeploymentEvent] = (
    DeploymentCreated(
        ID,
        "flights",
        "flight-delay",
        "production",
        "alice",
        "1.0.0",
        "a" * 64,
        "xgboost",
        Signature(
            (TensorSpec("features", "FP32", (-1, 2), ("hour", "carrier"), ("numeric", "categorical")),),
            (TensorSpec("late", "FP32", (-1,)),),
        ),
        AT,
    ),
    TrafficSet(
        ID,
        "flights",
        "flight-delay",
        [ShareSet("1.0.0", 90.0, "a" * 64, "xgboost"), ShareSet("1.1.0", 10.0, "b" * 64, "xgboost")],
        "canary",
        "bob",
        AT,
    ),
    DeploymentStopped(ID, "flights", "bob", "over", AT),
)
MEASURED = TrafficMeasured(
    ID,
    "flights",
    "flight-delay",
    AT,
    AT + timedelta(minutes=1),
    (VersionTraffic("1.0.0", 7, 2, Latencies(8, (3, 0, 2))), VersionTraffic("1.1.0", 1, 1, Latencies())),
    AT + timedelta(minutes=1),
)
STORIES: Sequence[Sequence[DeploymentEvent | TrafficMeasured]] = (EXAMPLES, [MEASURED])


def seen_after(events: Sequence[Any]) -> dict[str, Any]:
    """What is made of events: the row that callers see, and who answers which part of the keys; or of traffic."""
    if isinstance(events[-1], TrafficMeasured):
        return {"until": TRAFFIC.evolve(TRAFFIC.initial(), events[-1]).until.isoformat()}
    deployment = Deployment()
    for event in events:
        deployment = evolve(deployment, event)
    row: dict[str, Any] = MessageToDict(to_message(deployment, len(events)))
    return row | {"segments": [[s.start, s.end, s.version] for s in deployment.segments]}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for story in STORIES:
        before: list[str] = []
        for number, event in enumerate(story, 1):
            name, version, payload = EVENTS.encode(event)
            file = GOLDEN / f"{name}.{version}.json"
            golden = {
                "type": name,
                "version": version,
                "payload": json.loads(payload),
                "before": list(before),
                "seen": seen_after(story[:number]),
            }
            if not file.exists():
                file.write_text(json.dumps(golden, indent=2) + "\n")
            before.append(file.name)


if __name__ == "__main__":
    main()
