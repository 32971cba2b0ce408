"""A log of flights' events in an SQLite file, its key, and the checkpoint that was signed over it."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from modelog_proofs import (
    Checkpoint,
    EventRecord,
    MemoryHashStore,
    MerkleTree,
    PrivateKey,
    event_hash,
    generate_key,
    sign_checkpoint,
)

sys.path.insert(0, str(Path(__file__).parent))

EVENTS = 60
SCHEMA = """
PRAGMA page_size = 1024;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
  position INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, stream TEXT NOT NULL, version INTEGER NOT NULL,
  type TEXT NOT NULL, schema INTEGER NOT NULL, recorded_at TEXT NOT NULL, tenant TEXT NOT NULL, actor TEXT NOT NULL,
  correlation TEXT NOT NULL, causation TEXT NOT NULL, trace TEXT NOT NULL, payload BLOB NOT NULL,
  category TEXT GENERATED ALWAYS AS (substr(stream, 1, instr(stream || '-', '-') - 1)) VIRTUAL,
  UNIQUE (stream, version)
);
CREATE INDEX events_by_category ON events (category, position);
CREATE INDEX events_by_time ON events (recorded_at);
"""
Alter = Callable[[str], None]


def event(position: int) -> EventRecord:
    return EventRecord(
        position=position,
        event_id=f"0190-{position:08d}",
        stream=f"registry.model-m{position % 3}",
        version=(position - 1) // 3 + 1,
        type="registry.VersionRegistered",
        schema=1,
        recorded_at=f"2013-02-{position // 24 + 1:02d}T{position % 24:02d}:00:00.000000Z",
        tenant="acme",
        actor="zoë",
        correlation=f"c-{position // 5}",
        causation="" if position % 2 else f"cmd-{position}",
        trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        payload=json.dumps({"flight": f"UA{position:04d}", "delay_min": position * 1.5}).encode(),
    )


@pytest.fixture(scope="session")
def events() -> list[EventRecord]:
    return [event(position) for position in range(1, EVENTS + 1)]


@pytest.fixture(scope="session")
def leaf_hashes(events: list[EventRecord]) -> list[bytes]:
    return [event_hash(record) for record in events]


@pytest.fixture(scope="session")
def tree(leaf_hashes: list[bytes]) -> MerkleTree:
    tree = MerkleTree(MemoryHashStore())
    tree.extend(leaf_hashes)
    return tree


@pytest.fixture(scope="session")
def key() -> PrivateKey:
    return generate_key("modelog.example/acme")


@pytest.fixture(scope="session")
def public_key(key: PrivateKey) -> str:
    return key.public_key.text()


@pytest.fixture(scope="session")
def checkpoint(tree: MerkleTree, key: PrivateKey) -> str:
    return sign_checkpoint(Checkpoint(key.name, EVENTS, tree.root(EVENTS)), key)


@pytest.fixture
def store(tmp_path: Path, events: list[EventRecord]) -> Path:
    path = tmp_path / "events of #1?.sqlite"
    write_store(path, events)
    return path


@pytest.fixture
def alter(store: Path) -> Alter:
    """Run SQL on the store as someone would who has its file."""

    def run(sql: str) -> None:
        with closing(sqlite3.connect(store)) as connection:
            connection.executescript(sql)

    return run


def write_store(path: Path, events: list[EventRecord]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        rows = [tuple(vars(record).values()) for record in events]
        connection.executemany(f"INSERT INTO events VALUES ({', '.join('?' * 13)})", rows)
        connection.commit()
