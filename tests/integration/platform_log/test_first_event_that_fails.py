"""The check `decodes`: the first event of a log that today's code cannot decode or fold is found, with the reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from modelog_common.domain.ids import uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from modelog_platform.log.folding import ENTITIES, Failure, first_failure

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "common_events"))

from event_catalogue import DECIDERS, GOLDEN, types_of

CREATED, GOOD = "gateway.UserCreated", b'{"name":"eve","roles":[],"by":"ann","at":"2026-01-01T00:00:00Z"}'


def new(type_name: str, payload: bytes, version: int = 1) -> NewEvent:
    return NewEvent(str(uuid7()), type_name, version, payload, "acme", "ann")


async def golden_log(path: Path) -> SqliteEventStore:
    """Every version of every event that was ever written, each in a stream of its own after what goes before it."""
    store = await SqliteEventStore.open(path)
    for n, file in enumerate(GOLDEN):
        golden = json.loads(file.read_text())
        story = [json.loads((file.parent / name).read_text()) for name in golden["before"]] + [golden]
        (category,) = (name for name, entity in DECIDERS.items() if golden["type"] in types_of(*entity))
        events = [new(one["type"], json.dumps(one["payload"]).encode(), one["version"]) for one in story]
        await store.append(f"{category}-{n}", events)
    return store


def test_every_entity_of_every_service_is_folded() -> None:
    assert ENTITIES == DECIDERS


@pytest.mark.parametrize(
    ("stream", "event", "said"),
    [
        ("gateway.user-x", new(CREATED, b"{"), "DecodeError"),
        ("gateway.user-x", new(CREATED, b'{"name":7}'), "Expected `str`, got `int`"),
        ("gateway.user-x", new(CREATED, GOOD, version=9), "version 9"),
        ("gateway.user-x", new("gateway.UserSold", GOOD), "gateway.UserSold"),
        ("gateway.planet-x", new(CREATED, GOOD), "gateway.planet"),
    ],
)
async def test_the_first_event_that_fails_is_named(tmp_path: Path, stream: str, event: NewEvent, said: str) -> None:
    store = await golden_log(tmp_path / "events.db")
    assert await first_failure(store) is None
    await store.append("gateway.user-y", [new(CREATED, GOOD)])
    head = await store.head()
    await store.append(stream, [event])
    await store.append("gateway.user-z", [new(CREATED, b"{")])
    failure = await first_failure(store)
    assert isinstance(failure, Failure)
    assert failure.position == head + 1
    assert said in failure.reason
    assert stream in failure.reason
    assert await first_failure(store, until=head) is None
    await store.close()
