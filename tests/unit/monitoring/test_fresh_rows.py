"""Fresh rows are waited for until enough are labelled, without a preference for labels that come early."""

from __future__ import annotations

from data_plane import FEATURES, HERE, START, outcomes, predictions, stored, us
from modelog_monitoring.data.store import WindowStore
from modelog_monitoring.react.fresh import FreshRows
from modelog_monitoring.retraining.events import RetrainingStarted, TrainingSet

TERMS = RetrainingStarted(
    "r", "retrain", "flights", "w", "2013-03", START, "flight-delay", "flights", "1.0.0", "job",
    TrainingSet("flights", ()), 3, 10.0, 2, 10.0, START,
)  # fmt: skip


class Traffic:
    """One prediction a second; each outcome is known after a delay."""

    def __init__(self, store: WindowStore) -> None:
        self.store, self.asked, self.told = store, 0, 0

    def ask(self, first: int, last: int, version: str = "1.0.0") -> None:
        seconds = list(range(first, last))
        self.asked += 1
        ids = [f"p{n}" for n in seconds]
        batch = predictions(ids, seconds, sequence=self.asked, watermark=last, versions=[version] * len(ids))
        self.store.add([stored(batch)], HERE)

    def tell(self, numbers: list[int], known: float, watermark: float) -> None:
        self.told += 1
        ids = [f"p{n}" for n in numbers]
        labels = [float(n % 2) for n in numbers]
        batch = outcomes(ids, labels, [known] * len(ids), sequence=self.told, watermark=watermark)
        self.store.add([stored(batch)], HERE)


async def find(fresh: FreshRows, wanted: int = 3) -> list[int] | None:
    rows = await fresh.find("acme", TERMS, wanted, FEATURES)
    return None if rows is None else [(t - us(0)) // 1_000_000 for t in rows.event_times_us.tolist()]


async def test_nothing_is_fresh_before_both_watermarks_are_known(store: WindowStore) -> None:
    fresh, traffic = FreshRows(store), Traffic(store)
    assert await find(fresh) is None
    traffic.ask(0, 5)
    assert await find(fresh) is None


async def test_an_early_label_waits_for_its_neighbours(store: WindowStore) -> None:
    fresh, traffic = FreshRows(store), Traffic(store)
    traffic.ask(0, 20)
    traffic.tell([2, 5, 9], known=9.5, watermark=10)
    assert await find(fresh) is None  # the labels of 0, 1, 3 ... may still come: 10 s are allowed
    traffic.tell([0, 1, 3], known=13.5, watermark=14)
    assert await find(fresh) == [0, 1, 2]


async def test_the_earliest_rows_are_taken_and_none_from_the_window_itself(store: WindowStore) -> None:
    fresh, traffic = FreshRows(store), Traffic(store)
    traffic.ask(-5, 10)
    traffic.tell(list(range(-5, 10)), known=12, watermark=30)
    assert await find(fresh, 4) == [0, 1, 2, 3]


async def test_rows_without_labels_are_made_up_for_by_later_ones(store: WindowStore) -> None:
    fresh, traffic = FreshRows(store), Traffic(store)
    traffic.ask(0, 6)
    traffic.tell([0, 4], known=6, watermark=16)
    assert await find(fresh) is None
    assert await find(fresh) is None  # nothing has changed, so nothing is looked for
    traffic.ask(6, 8)
    traffic.tell([7], known=9, watermark=40)
    assert await find(fresh) == [0, 4, 7]


async def test_a_late_label_of_a_row_that_was_there_is_found(store: WindowStore) -> None:
    fresh, traffic = FreshRows(store), Traffic(store)
    traffic.ask(0, 6)
    traffic.tell([0, 4], known=6, watermark=16)
    assert await find(fresh) is None
    traffic.tell([5], known=17, watermark=18)
    assert await find(fresh) == [0, 4, 5]


async def test_a_watermark_alone_can_make_rows_fresh(store: WindowStore) -> None:
    """The rows of the last batch become fresh though no other batch comes."""
    fresh, traffic = FreshRows(store), Traffic(store)
    traffic.ask(0, 6)
    traffic.tell([0, 1, 2, 3, 4, 5], known=6, watermark=11)
    assert await find(fresh) is None
    traffic.tell([], known=0, watermark=12.5)
    assert await find(fresh) == [0, 1, 2]
