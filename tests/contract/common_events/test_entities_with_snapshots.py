"""A snapshot saves time and nothing else: what is stale, altered or of another log is never believed over the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Unavailable
from modelog_common.events import entities
from modelog_common.events.entities import Entities
from modelog_common.events.snapshots import Snapshot, Snapshots, code_of
from modelog_common.events.snapshots.sqlite import SqliteSnapshots
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.types import EventTypes, event
from modelog_common.testing.scenario import context

STREAM = "test.account-1"
WRONG = 10**6


@event("test.Paid")
class Paid:
    amount: int


@dataclass(frozen=True)
class Account:
    balance: int = 0
    folded: int = 0


def decide(account: Account, amount: int, ctx: Context) -> Sequence[Paid]:
    return [Paid(amount)]


def evolve(account: Account, event: Paid) -> Account:
    return Account(account.balance + event.amount, account.folded + 1)


DECIDER = Decider("test.account", Account, decide, evolve)
TYPES = EventTypes([Paid])


@pytest.fixture(autouse=True)
def every_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entities, "SNAPSHOT_EVERY", 10)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    store = await SqliteEventStore.open(tmp_path / "events.db")
    yield store
    await store.close()


@pytest.fixture
async def snapshots(tmp_path: Path) -> AsyncIterator[SqliteSnapshots]:
    snapshots = SqliteSnapshots(tmp_path / "snapshots.db")
    yield snapshots
    await snapshots.close()


async def pay(store: SqliteEventStore, snapshots: Snapshots | None, times: int) -> None:
    accounts = Entities(store, DECIDER, TYPES, snapshots)
    for n in range(times):
        await accounts.handle("1", 1, context(request_id=f"{await store.head()}-{n}"))


async def balance(store: SqliteEventStore, snapshots: Snapshots | None, until: int | None = None) -> int:
    """As a process that has just started sees it."""
    return (await Entities(store, DECIDER, TYPES, snapshots).load("1", until=until)).state.balance


async def lie(snapshots: Snapshots, **changed: object) -> None:
    """Put a snapshot in place that says something wrong, as if it was kept so."""
    found = await snapshots.find(STREAM)
    assert found is not None
    state = msgspec.msgpack.encode(Account(WRONG))
    await snapshots.clear()
    await snapshots.keep(msgspec.structs.replace(found, state=state, **changed).sealed())


async def test_one_is_taken_every_so_many_events_and_used(store: SqliteEventStore, snapshots: SqliteSnapshots) -> None:
    await pay(store, snapshots, 25)
    found = await snapshots.find(STREAM)
    assert found is not None
    assert (found.version, found.position) == (20, 20)
    await lie(snapshots)  # a lie that nothing gives away shows that folding begins at the snapshot
    assert await balance(store, snapshots) == WRONG + 5


async def test_reading_a_long_stream_takes_one_too(store: SqliteEventStore, snapshots: SqliteSnapshots) -> None:
    await pay(store, None, 25)
    assert await balance(store, snapshots) == 25
    found = await snapshots.find(STREAM)
    assert found is not None
    assert found.version == 25


async def test_with_and_without_them_states_are_equal(store: SqliteEventStore, snapshots: SqliteSnapshots) -> None:
    await pay(store, snapshots, 33)
    for until in (None, 1, 19, 20, 29, 30, 31, 33):
        assert await balance(store, snapshots, until) == await balance(store, None, until)


async def test_a_stale_schema_is_ignored(store: SqliteEventStore, snapshots: SqliteSnapshots) -> None:
    await pay(store, snapshots, 12)
    await lie(snapshots, code="what another release folded with")
    assert await balance(store, snapshots) == 12


async def test_one_ahead_of_the_log_is_ignored(store: SqliteEventStore, snapshots: SqliteSnapshots) -> None:
    await pay(store, snapshots, 12)
    await lie(snapshots, version=400, position=900, event_id="an event that the log does not have")
    assert await balance(store, snapshots) == 12


async def test_one_of_another_log_is_ignored(
    store: SqliteEventStore, snapshots: SqliteSnapshots, tmp_path: Path
) -> None:
    await pay(store, snapshots, 12)
    other = await SqliteEventStore.open(tmp_path / "other.db")
    for n in range(15):
        await Entities(other, DECIDER, TYPES).handle("1", 2, context(request_id=f"other-{n}"))
    assert await balance(other, snapshots) == 30
    await other.close()


async def test_one_that_names_another_place_than_its_event_has_is_ignored(
    store: SqliteEventStore, snapshots: SqliteSnapshots
) -> None:
    await pay(store, snapshots, 12)
    await lie(snapshots, version=9)
    assert await balance(store, snapshots) == 12


async def test_an_altered_one_is_ignored(store: SqliteEventStore, snapshots: SqliteSnapshots) -> None:
    await pay(store, snapshots, 12)
    found = await snapshots.find(STREAM)
    assert found is not None
    await snapshots.clear()
    await snapshots.keep(msgspec.structs.replace(found, state=msgspec.msgpack.encode(Account(WRONG))))
    assert await balance(store, snapshots) == 12


async def test_without_a_usable_cache_everything_goes_on(store: SqliteEventStore) -> None:
    class Broken(Snapshots):
        async def find(self, stream: str) -> Snapshot | None:
            raise Unavailable("the disk is full")

        async def keep(self, snapshot: Snapshot) -> None:
            raise Unavailable("the disk is full")

    await pay(store, Broken(), 12)
    assert await balance(store, Broken()) == 12


def test_code_that_changes_makes_another_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "folding_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "state.py").write_text("from folding_package.rules import evolve\n")
    (package / "rules.py").write_text("def evolve(state, event): return state + 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import folding_package.state  # type: ignore[import-not-found]

    first = code_of(folding_package.state.evolve)
    from modelog_common.events.snapshots import _source_digest

    _source_digest.cache_clear()
    assert code_of(folding_package.state.evolve) == first
    (package / "rules.py").write_text("def evolve(state, event): return state + 2\n")
    _source_digest.cache_clear()
    assert code_of(folding_package.state.evolve) != first
