"""A canary's rows come to its looks once each, in the order of event time, whenever they are looked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from data_plane import FEATURES, HERE, START, outcomes, predictions, stored, us
from modelog_common.domain.errors import Invalid
from modelog_common.testing.scenario import NOW
from modelog_monitoring.data.store import WindowStore
from modelog_monitoring.policy.events import CanaryTest
from modelog_monitoring.react.canary_rows import CanaryRows, DueRows
from modelog_monitoring.react.looked import look_of
from modelog_monitoring.retraining.events import CanaryLooked, CanaryVerdict, RetrainingStarted, TrainingSet
from modelog_monitoring.retraining.state import Phase, Retraining
from modelog_monitoring.stats.canary import counted

TERMS = RetrainingStarted(
    "r", "retrain", "flights", "w", "2013-03", START, "flight-delay", "flights", "1.0.0", "job",
    TrainingSet("flights", ()), 3, 10.0, 100, 10.0, START, CanaryTest(),
)  # fmt: skip
CANARY = Retraining(TERMS, Phase.CANARY, "1.1.0")


class Traffic:
    """A prediction a second, every second one by the challenger; outcomes are known after a while."""

    def __init__(self, store: WindowStore) -> None:
        self.store, self.asked, self.told = store, 0, 0

    def ask(self, first: int, last: int) -> None:
        seconds = list(range(first, last))
        self.asked += 1
        ids = [f"p{n}" for n in seconds]
        versions = ["1.1.0" if n % 2 else "1.0.0" for n in seconds]
        batch = predictions(ids, seconds, sequence=self.asked, watermark=last, versions=versions)
        self.store.add([stored(batch)], HERE)

    def tell(self, numbers: list[int], known: float, watermark: float) -> None:
        self.told += 1
        batch = outcomes(
            [f"p{n}" for n in numbers], [float(n % 3 == 0) for n in numbers], [known] * len(numbers),
            sequence=self.told, watermark=watermark,
        )  # fmt: skip
        self.store.add([stored(batch)], HERE)


async def due(rows: CanaryRows, retraining: Retraining = CANARY) -> DueRows | None:
    return await rows.due("acme", retraining, FEATURES)


def seconds(found: DueRows) -> list[int]:
    return [(t - us(0)) // 1_000_000 for t in found.rows.event_times_us.tolist()]


def after(retraining: Retraining, found: DueRows) -> Retraining:
    look = look_of(retraining, found, np.zeros(len(found.rows)))
    event = CanaryLooked("r", look.number, look.until, look.figures, CanaryVerdict.UNDECIDED, NOW)
    return replace(retraining, looked=event)


async def test_a_look_waits_for_enough_outcomes_that_are_due(store: WindowStore) -> None:
    rows, traffic = CanaryRows(store), Traffic(store)
    assert await due(rows) is None
    traffic.ask(0, 60)
    traffic.tell(list(range(60)), known=44, watermark=45)
    assert await due(rows) is None  # up to second 35 all outcomes are due: 17 rows of the challenger
    traffic.tell([], known=0, watermark=50)
    found = await due(rows)
    assert found is not None
    assert seconds(found) == list(range(1, 40, 2))
    assert (found.until - START).total_seconds() == 40


async def test_each_row_is_looked_at_once_and_never_more_than_were_given(store: WindowStore) -> None:
    rows, traffic, retraining = CanaryRows(store), Traffic(store), CANARY
    counted_in: list[int] = []
    for batch in range(6):
        traffic.ask(50 * batch, 50 * (batch + 1))
        traffic.tell(list(range(50 * batch, 50 * (batch + 1))), 50 * (batch + 1) + 5, 50 * (batch + 1) + 10)
        found = await due(rows, retraining)
        if retraining.looked is not None and retraining.looked.figures.rows == 100:
            break
        assert found is not None
        counted_in += seconds(found)
        retraining = after(retraining, found)
    assert counted_in == list(range(1, 200, 2))
    assert retraining.looked is not None
    assert (retraining.looked.number, retraining.looked.figures.rows) == (4, 100)


async def test_a_label_that_comes_after_a_look_has_passed_its_row_never_counts(store: WindowStore) -> None:
    rows, traffic = CanaryRows(store), Traffic(store)
    traffic.ask(0, 60)
    traffic.tell([n for n in range(60) if n != 5], known=20, watermark=70)
    found = await due(rows)
    assert found is not None
    assert seconds(found) == [n for n in range(1, 60, 2) if n != 5]
    passed = after(CANARY, found)
    traffic.tell([5], known=71, watermark=120)
    traffic.ask(60, 110)
    traffic.tell(list(range(60, 110)), known=110, watermark=130)
    later = await due(rows, passed)
    assert later is not None
    assert seconds(later) == list(range(61, 110, 2))


async def test_rows_without_labels_are_waited_for_without_looking_again(store: WindowStore) -> None:
    rows, traffic = CanaryRows(store), Traffic(store)
    traffic.ask(0, 60)
    traffic.tell(list(range(0, 60, 4)), known=20, watermark=70)  # none of the challenger's
    assert await due(rows) is None
    assert await due(rows) is None  # nothing has changed, so nothing is looked for
    traffic.tell(list(range(1, 60, 2)), known=69, watermark=71)
    traffic.ask(60, 62)
    found = await due(rows)
    assert found is not None
    assert seconds(found) == list(range(1, 60, 2))


def test_figures_go_on_from_where_they_were_and_bad_scores_are_named() -> None:
    labels, champion, challenger = (
        np.array([0.0, 1, 0, 1]),
        np.array([0.5, 0.5, 0.5, 0.5]),
        np.array([0.1, 0.9, 0.2, 0.7]),
    )
    whole = counted(None, 0.05, labels, champion, challenger)
    half = counted(None, 0.05, labels[:2], champion[:2], challenger[:2])
    parts = counted(half, 0.05, labels[2:], champion[2:], challenger[2:])
    assert (whole.rows, whole.champion_brier) == (4, 0.25)
    assert whole.challenger_brier == pytest.approx((0.01 + 0.01 + 0.04 + 0.09) / 4)
    assert whole.gain == pytest.approx(whole.sums[0] / 4)
    assert parts.sums == pytest.approx(whole.sums)
    assert (parts.champion_brier, parts.challenger_brier) == pytest.approx(
        (whole.champion_brier, whole.challenger_brier)
    )
    with pytest.raises(Invalid, match="challenger_scores"):
        counted(None, 0.05, labels, champion, np.array([0.1, 1.5, 0.2, 0.7]))
