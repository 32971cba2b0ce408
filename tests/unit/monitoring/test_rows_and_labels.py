"""Rows by event time: each id once, in order, with the label only where it was known in time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from data_plane import FEATURES, HERE, outcomes, predictions, stored, us
from hypothesis import given, settings
from hypothesis import strategies as st
from modelog_monitoring.data.batches import LATEST_US, prediction_batch
from modelog_monitoring.data.rows import Span, read_rows, to_micros, to_moment
from modelog_monitoring.data.store import Flow, Kind, WindowStore

FLOW = Flow(Kind.PREDICTIONS, "flights", "acme")
EVER = Span(us(0), us(10_000), us(20_000))


def labels_of(store: WindowStore, span: Span = EVER) -> list[float | None]:
    return [None if math.isnan(x) else x for x in read_rows(store, FLOW, span, FEATURES).labels.tolist()]


def test_rows_come_in_the_order_of_event_time(store: WindowStore) -> None:
    store.add([stored(predictions(["b", "a"], [20, 10], sequence=1))], HERE)
    store.add([stored(predictions(["d", "c"], [15, 15], sequence=2, versions=["1.1.0", "1.0.0"]))], HERE)
    rows = read_rows(store, FLOW, EVER, FEATURES)
    assert rows.event_times_us.tolist() == [us(10), us(15), us(15), us(20)]
    assert rows.features.tolist() == [[1, -1], [1, -1], [0, 0], [0, 0]]
    assert [rows.versions[n] for n in rows.answered_by] == ["1.0.0", "1.0.0", "1.1.0", "1.0.0"]
    assert np.allclose(rows.scores, [0.01, 0.01, 0.0, 0.0])
    assert len(rows.of("1.1.0")) == 1
    assert len(rows.of("9.9.9")) == 0
    assert rows.first(2).event_times_us.tolist() == [us(10), us(15)]


def test_an_empty_span_gives_no_rows(store: WindowStore) -> None:
    rows = read_rows(store, FLOW, EVER, FEATURES)
    assert (len(rows), rows.features.shape, rows.scores.shape, rows.labels.shape) == (0, (0, 2), (0,), (0,))


def test_the_end_of_a_span_is_outside(store: WindowStore) -> None:
    store.add([stored(predictions(["a", "b", "c"], [9, 10, 20]))], HERE)
    rows = read_rows(store, FLOW, Span(us(10), us(20), us(99)), FEATURES)
    assert rows.event_times_us.tolist() == [us(10)]


def test_what_was_answered_earlier_is_left_out(store: WindowStore) -> None:
    for n, answered in enumerate((5, 15), start=1):
        batch = predictions([f"p{n}"], [n], sequence=n)
        batch.answered_at_us = us(answered)
        store.add([stored(batch)], HERE)
    rows = read_rows(store, FLOW, Span(us(0), us(100), us(100), answered_us=us(15)), FEATURES)
    assert rows.event_times_us.tolist() == [us(2)]


def test_of_a_prediction_that_came_twice_the_first_counts(store: WindowStore) -> None:
    store.add([stored(predictions(["a"], [10], sequence=1))], HERE)
    store.add([stored(predictions(["x", "a"], [11, 12], sequence=2))], HERE)
    rows = read_rows(store, FLOW, EVER, FEATURES)
    assert rows.event_times_us.tolist() == [us(10), us(11)]


def test_features_are_taken_by_name_and_missing_ones_are_nan(store: WindowStore) -> None:
    store.add([stored(predictions(["a", "b"], [1, 2], sequence=1, names=["wind", "hour"]))], HERE)
    store.add([stored(predictions(["c", "d"], [3, 4], sequence=2, names=["wind", "other"]))], HERE)
    rows = read_rows(store, FLOW, EVER, FEATURES)
    assert rows.features[:2].tolist() == [[0, 0], [-1, 1]]
    assert np.isnan(rows.features[2:, 0]).all()
    assert rows.features[2:, 1].tolist() == [0, 1]


def test_only_one_versions_rows_on_demand(store: WindowStore) -> None:
    store.add([stored(predictions(["a", "b"], [1, 2], versions=["1.0.0", "1.1.0"]))], HERE)
    rows = read_rows(store, FLOW, EVER, FEATURES, "1.1.0")
    assert rows.event_times_us.tolist() == [us(2)]
    assert len(read_rows(store, FLOW, EVER, FEATURES, "2.0.0")) == 0


def test_the_last_output_is_the_score(store: WindowStore) -> None:
    batch = predictions(["a", "b"], [1, 2])
    batch.outputs = np.array([[0.9, 0.1], [0.2, 0.8]], "<f4").tobytes()
    store.add([stored(batch)], HERE)
    assert np.allclose(read_rows(store, FLOW, EVER, FEATURES).scores, [0.1, 0.8])


def test_labels_are_held_back_until_they_are_known(store: WindowStore) -> None:
    store.add([stored(predictions(["a", "b", "c"], [1, 2, 3]))], HERE)
    store.add([stored(outcomes(["a", "b", "c"], [1, 0, 1], [50, 60, 70]))], HERE)
    assert labels_of(store, Span(us(0), us(10), us(60))) == [1, None, None]
    assert labels_of(store, Span(us(0), us(10), us(61))) == [1, 0, None]
    assert len(read_rows(store, FLOW, Span(us(0), us(10), us(61)), FEATURES).labelled) == 2


def test_labels_that_come_before_their_prediction_wait_for_it(store: WindowStore) -> None:
    store.add([stored(outcomes(["b", "a"], [0, 1], [30, 31]))], HERE)
    assert labels_of(store) == []
    store.add([stored(predictions(["a", "b", "c"], [1, 2, 3]))], HERE)
    assert labels_of(store) == [1, 0, None]


def test_of_labels_that_come_twice_the_first_counts(store: WindowStore) -> None:
    store.add([stored(predictions(["a"], [1]))], HERE)
    store.add([stored(outcomes(["a", "a"], [1, 0], [20, 10], sequence=1))], HERE)
    store.add([stored(outcomes(["a"], [0], [5], sequence=2))], HERE)
    assert labels_of(store) == [1]


def test_labels_and_amounts_are_joined_each_for_itself(store: WindowStore) -> None:
    store.add([stored(predictions(["a", "b", "c"], [1, 2, 3]))], HERE)
    store.add([stored(outcomes(["a", "b"], [], [20, 21], amounts=[12.5, 7], sequence=1))], HERE)
    store.add([stored(outcomes(["b", "c"], [1, 0], [22, 23], amounts=[8, 9], sequence=2))], HERE)
    store.add([stored(outcomes(["a"], [1], [30], sequence=3))], HERE)
    rows = read_rows(store, FLOW, EVER, FEATURES)
    assert rows.labels.tolist() == [1, 1, 0]
    assert rows.amounts.tolist() == [12.5, 7, 9]
    early = read_rows(store, FLOW, Span(us(0), us(10), us(22)), FEATURES)
    assert np.isnan(early.labels).all()
    assert early.outcome(amounts=True).tolist()[:2] == [12.5, 7]
    assert np.isnan(early.outcome(amounts=False)).all()


ID = st.integers(0, 12).map(lambda n: f"p{n}")
KNOWN = st.tuples(ID, st.sampled_from([0.0, 1.0]), st.integers(0, 100))


@given(
    asked=st.lists(st.tuples(ID, st.integers(0, 50)), max_size=15),
    told=st.lists(st.lists(KNOWN, max_size=6), max_size=5),
    until=st.integers(1, 60),
    known=st.integers(0, 110),
    labels_first=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_rows_and_labels_are_what_a_plain_reading_of_the_rules_gives(
    tmp_path_factory: Any,
    asked: list[tuple[str, int]],
    told: list[list[tuple[str, float, int]]],
    until: int,
    known: int,
    labels_first: bool,
) -> None:
    folder: Path = tmp_path_factory.mktemp("rows")
    store = WindowStore(folder / "windows.db")
    questions = [stored(predictions([i], [t], sequence=n)) for n, (i, t) in enumerate(asked, 1)]
    answers = [
        stored(outcomes([k[0] for k in batch], [k[1] for k in batch], [k[2] for k in batch], sequence=n))
        for n, batch in enumerate(told, 1)
    ]
    store.add(answers + questions if labels_first else questions + answers, HERE)
    span = Span(us(0), us(until), us(known))

    first: dict[str, int] = {}
    for name, time in asked:
        if time < until:
            first.setdefault(name, time)
    label: dict[str, float] = {}
    for batch in told:
        for name, value, time in batch:
            if time < known:
                label.setdefault(name, value)
    expected = [(us(t), label.get(i)) for i, t in sorted(first.items(), key=lambda item: (item[1], item[0]))]

    rows = read_rows(store, FLOW, span, FEATURES)
    assert list(zip(rows.event_times_us.tolist(), labels_of(store, span), strict=True)) == expected
    store.close()


def test_moments_and_microseconds() -> None:
    assert to_micros(to_moment(us(1.5))) == us(1.5)
    assert to_moment(2**63 - 1).year == 9999
    assert to_micros(to_moment(LATEST_US - 1)) == LATEST_US - 1


def test_of_answers_with_texts_the_last_number_is_the_score(store: WindowStore) -> None:
    for sequence, texts in enumerate(([1], [0], [0, 1]), 1):
        batch = predictions([f"t{sequence}"], [sequence], sequence=sequence)
        batch.outputs = np.where(np.isin([0, 1], texts), np.nan, [0.25, 0.75]).astype("<f4").tobytes()
        batch.text_outputs.extend(texts)
        batch.output_texts.extend(["late"] * len(texts))
        prediction_batch(batch.SerializeToString(), "acme")
        store.add([stored(batch)], HERE)
    scores = read_rows(store, FLOW, EVER, FEATURES).scores.tolist()
    assert scores[:2] == [0.25, 0.75]
    assert math.isnan(scores[2])
