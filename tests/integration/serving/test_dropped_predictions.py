"""What is old and published is dropped from the prediction log: its anchors stay, and it says what is gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import NotFound, Unavailable
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_serving.events import EVENTS
from modelog_serving.predlog import file, retention
from modelog_serving.predlog.evidence import Evidence, Sealed
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.publish import PredictionSource
from modelog_serving.predlog.retention import Retention
from modelog_serving.predlog.seal import Sealer
from modelog_serving.segment.decide import SEGMENTS
from test_prediction_log import answers, in_file

KEEP_S = 3600
DROPPED = (
    "has no prediction '1' of 'flights'; what was answered until 2026-01-01T00:00:00Z was dropped, the last of it at "
    "2026-01-01T01:00:01Z, and cannot be shown or proven any more"
)


class Kept:
    """A log that is sealed and kept for an hour; `published` is how far it was."""

    def __init__(self, store: SqliteEventStore, log: PredictionLog, clock: ManualClock, most_bytes: int = 0) -> None:
        self.store, self.log, self.clock, self.most_bytes = store, log, clock, most_bytes
        self.published = 0
        segment_bytes = most_bytes // 16 if most_bytes else 1
        self.sealer = Sealer(log, Entities(store, SEGMENTS, EVENTS), clock, 1, segment_bytes)
        self.retention = Retention(log, lambda: self.published, clock, KEEP_S, most_bytes)
        self.evidence = Evidence([Sealed(log, self.sealer)])

    async def again(self, most_bytes: int = 0) -> Kept:
        """After a restart."""
        await self.log.close()
        return Kept(self.store, await PredictionLog.open(self.log.path, self.clock, most_bytes), self.clock, most_bytes)

    async def sequences(self) -> list[int]:
        return [entry.position for entry in await PredictionSource(self.log, "h").read(0, 1000)]

    async def anchors(self) -> list[int]:
        """The first batches of the segments that the log of events tells of."""
        return [json.loads(event.payload)["first"] async for event in self.store.read_all()]


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    clock = ManualClock()
    store = await SqliteEventStore.open(tmp_path / "events.db", clock)
    made = Kept(store, await PredictionLog.open(tmp_path / "predictions.db", clock), clock)
    yield made
    await made.log.close()
    await store.close()


async def three_hours(kept: Kept) -> None:
    """An answer an hour, sealed."""
    for hour in range(3):
        await in_file(kept.log, answers(str(hour + 1), given=True))
        await kept.sealer.seal_due()
        kept.clock.advance(timedelta(seconds=KEEP_S if hour < 2 else 1))


async def test_what_is_old_and_published_is_dropped_and_its_anchor_stays(kept: Kept) -> None:
    await in_file(kept.log, answers("1", given=True))
    await kept.sealer.seal_due()
    kept.clock.advance(timedelta(seconds=KEEP_S + 1))
    await in_file(kept.log, answers("2", given=True))
    await kept.retention.drop_due()
    assert await kept.sequences() == [1, 2], "it is not published"
    kept.published = 2
    await kept.retention.drop_due()
    assert await kept.sequences() == [2], "the second is neither old nor sealed"
    assert await kept.anchors() == [1]
    with pytest.raises(NotFound, match=DROPPED):
        await kept.evidence.find("acme", "flights", "1")
    with pytest.raises(NotFound, match=DROPPED):
        await kept.evidence.included("acme", "flights", "1")
    with pytest.raises(NotFound, match="'1' of 'flights'$"):
        await kept.evidence.find("other", "flights", "1")
    assert (await kept.evidence.included("acme", "flights", "2")).segment.number == 2


async def test_an_id_is_new_again_once_its_answer_was_dropped(kept: Kept) -> None:
    await three_hours(kept)
    kept.published = 3
    assert await kept.log.append(answers("1", given=True)) is not None
    await kept.retention.drop_due()
    assert await kept.sequences() == [3]
    assert await kept.log.append(answers("1", given=True)) is None
    assert (await kept.evidence.included("acme", "flights", "1")).segment.first == 4


async def test_a_log_that_was_dropped_whole_goes_on_counting(kept: Kept) -> None:
    await three_hours(kept)
    kept.published = 3
    kept.clock.advance(timedelta(days=1))
    await kept.retention.drop_due()
    assert await kept.sequences() == []
    after = await kept.again()
    await in_file(after.log, answers("4"))
    assert await after.sequences() == [4]
    assert (await after.evidence.included("acme", "", "4")).segment.number == 4
    assert await after.anchors() == [1, 2, 3, 4]
    await after.log.close()


async def test_what_a_crash_left_half_dropped_is_dropped(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    await three_hours(kept)
    kept.published = 3
    with monkeypatch.context() as patch:
        patch.setattr(retention, "_clear", lambda _db: False)
        await kept.retention.drop_due()
    assert await kept.sequences() == [1, 2, 3]
    with pytest.raises(NotFound, match="was dropped"):
        await kept.evidence.included("acme", "flights", "1")
    after = await kept.again()
    await after.retention.drop_due()
    assert await after.sequences() == [3]
    assert await after.log.find("acme", "flights", "1") is None
    await after.log.close()


@pytest.mark.parametrize("looks", [True, False])
async def test_a_log_with_a_limit_goes_on_as_long_as_there_is_something_to_drop(kept: Kept, looks: bool) -> None:
    """Whether something is dropped in good time, or only when a request finds the file full."""
    small = await kept.again(most_bytes=400_000)
    for batch in range(60):
        await in_file(small.log, answers(*(f"{batch}.{n}" for n in range(200))))
        await small.sealer.seal_due()
        small.published = small.log.sequence
        if looks:
            await small.retention.drop_due()
    assert (await small.sequences())[-1] == 60
    assert len(await small.sequences()) < 40
    assert small.log.path.stat().st_size < 600_000
    with pytest.raises(NotFound, match="was dropped"):
        await small.evidence.find("acme", "flights", "0.0")
    assert (await small.evidence.included("acme", "", "59.199")).segment.last == 60
    await small.log.close()


async def test_what_is_not_published_is_not_dropped_for_what_is_new(kept: Kept) -> None:
    small = await kept.again(most_bytes=200_000)
    with pytest.raises(Unavailable, match="database or disk is full; nothing was stored"):
        for batch in range(100):
            await in_file(small.log, answers(*(f"{batch}.{n}" for n in range(200))))
            await small.sealer.seal_due()
    assert await small.sequences() == list(range(1, small.log.sequence + 1))
    small.published = small.log.sequence
    await in_file(small.log, answers(*(f"more.{n}" for n in range(200))))
    assert (await small.sequences())[0] > 1
    assert await small.log.reading(file.used_bytes) < 300_000
    await small.log.close()
