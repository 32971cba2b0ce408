"""Writes the golden file of every event type that has none yet; what is there stays, for it was once stored so.

Run it after adding an event type, or a version of one, with an example below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from modelog_serving.deployment.events import (
    TYPES,
    DeploymentCreated,
    DeploymentEvent,
    DeploymentStopped,
    ShareSet,
    TrafficSet,
)
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.state import Deployment, evolve
from modelog_serving.read.tables import to_message

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


def seen_after(events: Sequence[DeploymentEvent]) -> dict[str, Any]:
    """What is made of events: the row that callers see, and who answers which part of the keys."""
    deployment = Deployment()
    for event in events:
        deployment = evolve(deployment, event)
    row: dict[str, Any] = MessageToDict(to_message(deployment, len(events)))
    return row | {"segments": [[s.start, s.end, s.version] for s in deployment.segments]}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    before: list[str] = []
    for number, event in enumerate(EXAMPLES, 1):
        name, version, payload = TYPES.encode(event)
        file = GOLDEN / f"{name}.{version}.json"
        golden = {
            "type": name,
            "version": version,
            "payload": json.loads(payload),
            "before": list(before),
            "seen": seen_after(EXAMPLES[:number]),
        }
        if not file.exists():
            file.write_text(json.dumps(golden, indent=2) + "\n")
        before.append(file.name)


if __name__ == "__main__":
    main()
