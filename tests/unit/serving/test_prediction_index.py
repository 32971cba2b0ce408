"""Where predictions are found: by an entry each, or by one entry of their batch."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from modelog_common.domain.ids import uuid7_texts
from modelog_serving.predlog import file, index
from modelog_serving.predlog.answers import Answerer, Answers, join, to_batch

NUMBER = 1


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = file.connect(tmp_path / "predictions.db")
    assert file.number_of(opened, "acme", "flights") == NUMBER
    yield opened
    opened.close()


def answers(ids: Sequence[str], *, given: bool = False) -> Answers:
    rows = len(ids)
    return Answers(
        tenant="acme", deployment="flights", model="delays", ids=ids, event_times_us=[1] * rows, keys=(),
        answerers=[Answerer("1.0.0", "a" * 64)], answered_by=np.zeros(rows, np.uint8), feature_names=["x"],
        features=np.arange(rows, dtype=np.float32).reshape(-1, 1), outputs=np.ones((rows, 1), np.float32),
        given_ids=given,
    )  # fmt: skip


def store(db: sqlite3.Connection, sequence: int, batch: Answers) -> None:
    file.store(db, batch, sequence, to_batch(batch, sequence, "log", 1).SerializeToString())
    index.add(db, NUMBER, batch, sequence)


def entries(db: sqlite3.Connection) -> tuple[int, int]:
    """Of single predictions, and of batches."""
    (each,), (whole,) = (db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("prediction", "made"))
    return each, whole


def made_at(ms: int, count: int, draw: random.Random) -> list[str]:
    """Ids as serving makes them, of one millisecond."""
    begun = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}"
    return [f"{begun}-7{draw.getrandbits(12):03x}-8000-{draw.getrandbits(48):012x}" for _ in range(count)]


def test_made_ids_have_one_entry_a_batch_and_are_found_though_batches_overlap(db: sqlite3.Connection) -> None:
    draw = random.Random(1)
    # All of one block of four seconds; answered in another order than asked.
    ids = [i for ms in range(0x01A2_1989_6000, 0x01A2_1989_6E00, 40) for i in made_at(ms, 2, draw)]
    ids = [j for i in ids for j in (i, f"{i}.0", f"{i}.10")]
    places = sorted(range(len(ids)), key=lambda n: n + draw.randrange(40))
    expected: dict[str, tuple[int, int]] = {}
    for sequence, start in enumerate(range(0, len(ids), 16), 1):
        batch = [ids[n] for n in places[start : start + 16]]
        store(db, sequence, answers(batch))
        expected |= {prediction_id: (sequence, row) for row, prediction_id in enumerate(batch)}
    assert entries(db) == (0, len(ids) // 16 + (len(ids) % 16 > 0))
    assert {i: index.place_of(db, NUMBER, i) for i in expected} == expected
    strange = [*made_at(0x01A2_1989_6300, 5, draw), ids[0] + ".1", ids[0][:-1], ids[0][:10], "", "a\0b", "\U0010ffff"]
    assert [index.place_of(db, NUMBER, i) for i in strange] == [None] * len(strange)


def test_ids_that_do_not_begin_alike_have_an_entry_each(db: sqlite3.Connection) -> None:
    draw = random.Random(2)
    over_the_edge = [*made_at(0x01A2_1989_6FFF, 1, draw), *made_at(0x01A2_1989_7000, 1, draw)]
    for sequence, ids in enumerate((over_the_edge, ["a", "b"], ["order-000001"]), 1):
        store(db, sequence, answers(ids, given=sequence == 3))
    assert entries(db) == (5, 0)
    assert [index.place_of(db, NUMBER, i) for i in over_the_edge] == [(1, 0), (1, 1)]
    assert [index.place_of(db, NUMBER, i) for i in ("a", "b", "order-000001")] == [(2, 0), (2, 1), (3, 0)]


def test_a_batch_with_ids_that_callers_chose_has_an_entry_each(db: sqlite3.Connection) -> None:
    made, chosen = uuid7_texts(1), uuid7_texts(1)
    store(db, 1, join([answers(made), answers(chosen, given=True)]))
    assert entries(db) == (2, 0)


def test_of_an_id_that_is_there_twice_the_first_place_counts(db: sqlite3.Connection) -> None:
    (one,) = uuid7_texts(1)
    store(db, 1, answers([one]))
    store(db, 2, answers([one], given=True))
    store(db, 3, answers([one]))
    assert index.place_of(db, NUMBER, one) == (1, 0)
    index.forget(db, NUMBER, [one], 1)
    assert index.place_of(db, NUMBER, one) == (2, 0)
    index.forget(db, NUMBER, [one], 2)
    assert index.place_of(db, NUMBER, one) == (3, 0)


def test_predictions_are_found_in_all_deployments_of_their_tenant_only(db: sqlite3.Connection) -> None:
    (one,) = uuid7_texts(1)
    store(db, 1, answers([one]))
    assert index.places_of(db, "acme", "", one) == [index.Place("flights", 1, 0)]
    assert index.places_of(db, "acme", "flights", one) == [index.Place("flights", 1, 0)]
    assert index.places_of(db, "acme", "trains", one) == index.places_of(db, "other", "", one) == []
    found = index.find(db, "acme", "flights", one)
    assert found is not None
    assert found.prediction_id == one
