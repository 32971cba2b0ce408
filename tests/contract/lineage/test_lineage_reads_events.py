"""What lineage reads of other services' events is what they write: names, fields, golden files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import modelog_gateway.user.events
import modelog_monitoring.events
import modelog_registry.events
import modelog_serving.deployment.events
import modelog_training.job.events
import msgspec
import pytest
from modelog_common.events.store import StoredEvent
from modelog_common.events.types import spec_of
from modelog_lineage.graph import events
from modelog_lineage.graph.translate import KNOWN, changes_of

WRITTEN: dict[str, type[Any]] = {
    spec_of(event).name: event
    for event in (
        *modelog_registry.events.TYPES,
        *modelog_monitoring.events.TYPES,
        *get_args(modelog_training.job.events.JobEvent),
        *get_args(modelog_serving.deployment.events.DeploymentEvent),
        *get_args(modelog_gateway.user.events.UserEvent),
    )
}
GOLDEN = sorted(Path(__file__).parents[1].glob("*/golden/*.json"))


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_somebody_writes_what_lineage_reads(name: str) -> None:
    assert name in WRITTEN, f"no service writes {name}"
    read = getattr(events, name.partition(".")[2])
    written = {field.name for field in msgspec.structs.fields(WRITTEN[name])}
    missing = {field.name for field in msgspec.structs.fields(read)} - written
    assert not missing, f"{name} has no {', '.join(sorted(missing))}"


@pytest.mark.parametrize("file", GOLDEN, ids=lambda f: f.stem)
def test_every_event_that_was_ever_stored_can_be_read(file: Path) -> None:
    golden = json.loads(file.read_text())
    if golden.get("type") not in KNOWN:
        pytest.skip("the graph does not need it")
    body = json.dumps(golden["payload"]).encode()
    at = datetime(2013, 1, 1, tzinfo=UTC)
    changes_of(StoredEvent(1, "e", "a.b-1", 1, golden["type"], 1, at, "acme", "alice", "", "", "", body))
