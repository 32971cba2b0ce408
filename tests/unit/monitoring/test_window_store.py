"""The window store: each batch once, watermarks that hold, and batches found by event time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from data_plane import HERE, START_US, outcomes, predictions, stored, us
from hypothesis import given, settings
from hypothesis import strategies as st
from modelog_common.bus.progress import Progress
from modelog_common.domain.errors import Unavailable
from modelog_monitoring.data.store import Batch, Flow, Kind, WindowStore

PREDICTIONS = Flow(Kind.PREDICTIONS, "flights", "acme")
OUTCOMES = Flow(Kind.OUTCOMES, "flights", "acme")


def numbered(sequence: int, **fields: object) -> Batch:
    return stored(predictions([f"p{sequence}"], [sequence], sequence=sequence, watermark=sequence, **fields))  # type: ignore[arg-type]


async def test_a_batch_counts_once_and_its_position_is_kept_with_it(store: WindowStore) -> None:
    batch = stored(predictions(["a", "b"], [1, 2], watermark=2))
    assert store.add([batch, batch], HERE) == 1
    assert store.add([batch], Progress("modelog.predictions", 0, "two", 9, {"log": 1})) == 0
    assert store.rows(PREDICTIONS) == 2
    assert (store.watermark(PREDICTIONS), store.sequence(Kind.PREDICTIONS, "log")) == (us(2), 1)
    kept = await store.progress.load("modelog.predictions", 0)
    assert kept == Progress("modelog.predictions", 0, "two", 9, {"log": 1})


@given(st.permutations(range(1, 9)), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_whatever_the_order_the_watermark_never_passes_a_gap(
    tmp_path_factory: object, order: list[int], cut: int
) -> None:
    folder: Path = tmp_path_factory.mktemp("store")  # type: ignore[attr-defined]
    store = WindowStore(folder / "windows.db")
    for sequence in order[:cut]:
        store.add([numbered(sequence)], HERE)
        came = set(order[: order.index(sequence) + 1])
        whole = next(n for n in range(10) if n + 1 not in came)
        assert store.sequence(Kind.PREDICTIONS, "log") == whole
        assert store.watermark(PREDICTIONS) == (us(whole) if whole else None)
        assert store.rows(PREDICTIONS) == whole
    store.close()


def test_a_dead_letter_takes_its_place_in_the_count(store: WindowStore) -> None:
    store.add([numbered(1), numbered(3)], HERE)
    assert store.sequence(Kind.PREDICTIONS, "log") == 1
    store.add([Batch(Kind.PREDICTIONS, "log", 2)], HERE)
    assert store.sequence(Kind.PREDICTIONS, "log") == 3
    assert (store.rows(PREDICTIONS), store.watermark(PREDICTIONS)) == (2, us(3))


def test_the_slowest_source_holds_the_watermark(store: WindowStore) -> None:
    store.add([stored(predictions(["a"], [1], log="one", watermark=50))], HERE)
    store.add([stored(predictions(["b"], [1], log="two", watermark=20))], HERE)
    assert store.watermark(PREDICTIONS) == us(20)


def test_requests_without_a_watermark_do_not_hold_the_stream_up(store: WindowStore) -> None:
    store.add([stored(predictions(["a"], [99], log="log", sequence=1))], HERE)
    assert store.watermark(PREDICTIONS) == us(99)  # event times are taken to come in order
    store.add([stored(predictions(["b"], [1], log="log", sequence=2, watermark=5, producer="stream"))], HERE)
    assert store.watermark(PREDICTIONS) == us(5)


def test_a_watermark_does_not_go_back(store: WindowStore) -> None:
    store.add([stored(outcomes(["a"], [1], [9], sequence=1, watermark=9))], HERE)
    store.add([stored(outcomes(["b"], [1], [4], sequence=2, watermark=4))], HERE)
    assert store.watermark(OUTCOMES) == us(9)


def test_an_unknown_flow_has_nothing(store: WindowStore) -> None:
    assert store.watermark(OUTCOMES) is None
    assert store.rows(OUTCOMES) == 0
    assert store.sequence(Kind.OUTCOMES, "nobody") == 0
    assert store.first_after(PREDICTIONS, 0) is None
    assert store.messages(PREDICTIONS, 0, us(99)) == []


def test_batches_are_found_by_event_time_tenant_and_version(store: WindowStore) -> None:
    first = predictions(["a", "b"], [10, 20], sequence=1)
    second = predictions(["c", "d"], [15, 40], sequence=2, versions=["1.0.0", "1.1.0"])
    empty = predictions([], [], sequence=3, watermark=90)
    store.add([stored(b) for b in (first, second, empty)], HERE)
    found = store.messages(PREDICTIONS, us(0), us(15))
    assert found == [first.SerializeToString()]
    assert len(store.messages(PREDICTIONS, us(20), us(41))) == 2
    assert store.messages(PREDICTIONS, us(0), us(99), "1.1.0") == [second.SerializeToString()]
    assert store.messages(Flow(Kind.PREDICTIONS, "flights", "other"), 0, us(99)) == []
    assert store.rows_between(PREDICTIONS, us(0), us(99)) == 4
    assert store.rows_between(PREDICTIONS, us(30), us(99)) == 2
    assert store.rows_between(PREDICTIONS, us(0), us(99), "1.1.0") == 1
    assert store.first_after(PREDICTIONS, START_US) == us(10)
    assert store.first_after(PREDICTIONS, us(12)) == us(12)
    assert store.first_after(PREDICTIONS, us(41)) is None


def test_what_was_added_is_there_after_a_restart(tmp_path: Path) -> None:
    store = WindowStore(tmp_path / "windows.db")
    store.add([numbered(1)], HERE)
    store.close()
    again = WindowStore(tmp_path / "windows.db")
    assert again.add([numbered(1)], HERE) == 0
    assert again.sequence(Kind.PREDICTIONS, "log") == 1
    again.close()


def test_a_failed_transaction_leaves_nothing(store: WindowStore) -> None:
    broken = Batch(Kind.PREDICTIONS, "log", 2, PREDICTIONS, rows=1, versions={"1.0.0": object()})  # type: ignore[dict-item]
    with pytest.raises(Unavailable, match="cannot be used"):
        store.add([numbered(1), broken], HERE)
    assert store.rows(PREDICTIONS) == 0
    assert store.add([numbered(1)], HERE) == 1


def test_a_file_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "windows.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(Unavailable, match="has format 99; this release reads up to 1"):
        WindowStore(tmp_path / "windows.db")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "windows.db").write_bytes(b"this is not a database, whatever its name says" * 50)
    with pytest.raises(Unavailable, match=r"windows\.db cannot be used"):
        WindowStore(tmp_path / "windows.db")
