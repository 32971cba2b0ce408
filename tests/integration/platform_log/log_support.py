"""Logs to move about: a store with some streams, what it holds, and its signed checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from modelog_common.domain.ids import uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import EventStore, NewEvent, StoredEvent
from modelog_lineage.audit.records import record_of
from modelog_proofs import Checkpoint, Frontier, PrivateKey, event_hash, sign_checkpoint

ODD_PAYLOADS = (b"{}", b'{"a": 1.0}', b'{\n "pretty": true\n}', b"\xff\x00", b"", b" [1] ", '{"ü":"\u2028"}'.encode())


def new_event(n: int, payload: bytes | None = None) -> NewEvent:
    body = payload if payload is not None else json.dumps({"n": n, "delay_min": n * 1.5}).encode()
    return NewEvent(str(uuid7()), "test.Happened", 1, body, "acme", "zoë", f"c-{n}", "", "")


async def fill(store: EventStore, count: int, *, odd: bool = True) -> None:
    """Events of three streams; with `odd` some payloads are unusual."""
    for n in range(count):
        payload = ODD_PAYLOADS[n % len(ODD_PAYLOADS)] if odd and n % 5 == 0 else None
        await store.append(f"test.thing-{n % 3}", [new_event(n, payload)])


async def everything(store: EventStore, until: int | None = None) -> list[StoredEvent]:
    return [event async for event in store.read_all(until=until)]


def root_of(events: Sequence[StoredEvent]) -> bytes:
    frontier = Frontier()
    for event in events:
        frontier.append(event_hash(record_of(event)))
    return frontier.root()


def sign(events: Sequence[StoredEvent], key: PrivateKey) -> str:
    return sign_checkpoint(Checkpoint(key.name, len(events), root_of(events)), key)


async def open_store(path: Path) -> SqliteEventStore:
    return await SqliteEventStore.open(path)
