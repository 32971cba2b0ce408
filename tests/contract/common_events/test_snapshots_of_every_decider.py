"""For every decider of every service: loading with snapshots and without gives equal states."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from event_catalogue import DECIDERS, GOLDEN, types_of
from hypothesis import given, settings
from hypothesis import strategies as st
from modelog_common.domain.decider import Decider
from modelog_common.events import entities
from modelog_common.events.entities import Entities
from modelog_common.events.snapshots import Snapshots
from modelog_common.events.snapshots.sqlite import SqliteSnapshots
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from modelog_common.events.types import EventTypes

EVERY = 3


def stories() -> dict[str, list[dict[str, Any]]]:
    """The golden events of each decider, each with what went before it, told as one story."""
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in GOLDEN:
        golden = json.loads(file.read_text())
        story = [json.loads((file.parent / name).read_text()) for name in golden["before"]] + [golden]
        for name, (decider, types) in DECIDERS.items():
            if golden["type"] in types_of(decider, types) and len(story) > len(told[name]):
                told[name] = story
    return told


STORIES = stories()


def test_every_decider_has_a_story() -> None:
    assert sorted(name for name, story in STORIES.items() if story) == sorted(DECIDERS)


@pytest.mark.parametrize("name", sorted(DECIDERS))
@settings(max_examples=15)
@given(data=st.data())
def test_with_and_without_snapshots_states_are_equal(name: str, data: st.DataObject) -> None:
    decider, types = DECIDERS[name]
    story = STORIES[name]
    more = data.draw(st.lists(st.sampled_from(story), max_size=12))
    asyncio.run(_compare(decider, types, _that_fold(decider, types, [*story, *more])))


def _that_fold(decider: Decider[Any, Any, Any], types: EventTypes, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the events that make no sense where they stand."""
    state, kept = decider.initial(), []
    for golden in told:
        try:
            state = decider.evolve(state, _decode(types, golden))
        except KeyError:
            continue
        kept.append(golden)
    return kept


def _decode(types: EventTypes, golden: dict[str, Any]) -> Any:
    return types.decode(golden["type"], golden["version"], _payload(golden))


def _payload(golden: dict[str, Any]) -> bytes:
    return json.dumps(golden["payload"]).encode()


async def _compare(decider: Decider[Any, Any, Any], types: EventTypes, told: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder, patch.object(entities, "SNAPSHOT_EVERY", EVERY):
        store = await SqliteEventStore.open(Path(folder, "events.db"))
        snapshots = SqliteSnapshots(Path(folder, "snapshots.db"))
        stream = f"{decider.category}-1"
        for n, golden in enumerate(told):
            new = NewEvent(f"e-{n}", golden["type"], golden["version"], _payload(golden), "acme", "alice")
            await store.append(stream, [new])
            with_snapshots = await _state(store, decider, types, snapshots)
            assert with_snapshots == await _state(store, decider, types, None)
        assert (await snapshots.find(stream) is not None) == (len(told) >= EVERY)
        await snapshots.close()
        await store.close()


async def _state(
    store: SqliteEventStore, decider: Decider[Any, Any, Any], types: EventTypes, snapshots: Snapshots | None
) -> Any:
    return (await Entities(store, decider, types, snapshots).load("1")).state
