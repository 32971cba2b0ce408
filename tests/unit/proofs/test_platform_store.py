"""The file that the platform's own SQLite event store writes is one that an auditor can verify."""

from datetime import UTC, datetime
from pathlib import Path

from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent, StoredEvent
from modelog_proofs import (
    Checkpoint,
    EventRecord,
    EventStoreFile,
    MemoryHashStore,
    MerkleTree,
    event_hash,
    generate_key,
    recorded_at_text,
    sign_checkpoint,
    verify_store,
)


def record_of(stored: StoredEvent) -> EventRecord:
    return EventRecord(
        position=stored.position,
        event_id=stored.id,
        stream=stored.stream,
        version=stored.version,
        type=stored.type,
        schema=stored.schema,
        recorded_at=recorded_at_text(stored.recorded_at),
        tenant=stored.tenant,
        actor=stored.actor,
        correlation=stored.correlation_id,
        causation=stored.causation_id,
        trace=stored.trace_id,
        payload=stored.payload,
    )


class WholeSeconds:
    """A clock whose microseconds are zero, which the shorter forms of ISO 8601 leave out."""

    def now(self) -> datetime:
        return datetime(2013, 2, 1, 12, tzinfo=UTC)


async def test_a_store_of_the_platform_is_verified_while_open_and_after(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    store = await SqliteEventStore.open(path, WholeSeconds())
    events = [NewEvent(f"e{i}", "registry.ModelCreated", 1, b'{"n": %d}' % i, "acme", "zo\u00eb") for i in range(9)]
    await store.append("registry.model-a", events)
    tree, key = MerkleTree(MemoryHashStore()), generate_key("modelog.example/acme")
    seen = [record_of(stored) async for stored in store.read_all()]
    tree.extend(event_hash(record) for record in seen)
    checkpoint = sign_checkpoint(Checkpoint(key.name, 9, tree.root(9)), key)
    assert verify_store(path, checkpoint, key.public_key).failures == ()
    await store.close()
    assert verify_store(path, checkpoint, key.public_key).failures == ()
    with EventStoreFile(path) as file:
        assert list(file.events()) == seen
