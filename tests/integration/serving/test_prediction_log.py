"""The prediction log alone: group commits, ids answered once, full disks, what a reader finds."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelog_common.bus.progress import Progress
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import AlreadyExists, Overloaded, Unavailable
from modelog_common.domain.ids import uuid7_texts
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from modelog_serving.predlog import answers as answers_module
from modelog_serving.predlog import log as log_module
from modelog_serving.predlog import waiting
from modelog_serving.predlog.answers import Answerer, Answers, Source
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.publish import PredictionSource
from modelog_serving.predlog.writer import StreamCommit
from msgspec.structs import replace

V1, V2 = Answerer("1.0.0", "a" * 64), Answerer("1.1.0", "b" * 64)


def answers(
    *ids: str, answerer: Answerer = V1, given: bool = False, source: Source | None = None, keys: Sequence[str] = ()
) -> Answers:
    rows = len(ids)
    return Answers(
        tenant="acme",
        deployment="flights",
        model="flight-delay",
        ids=ids,
        event_times_us=list(range(rows)),
        keys=keys,
        answerers=[answerer],
        answered_by=np.zeros(rows, np.uint8),
        feature_names=("a", "b"),
        features=np.arange(rows * 2, dtype=np.float32).reshape(rows, 2),
        outputs=np.full((rows, 1), 0.5, np.float32),
        given_ids=given,
        source=source,
    )


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[PredictionLog]:
    opened = await PredictionLog.open(tmp_path / "predictions.db", ManualClock())
    yield opened
    await opened.close()


async def in_file(log: PredictionLog, given: Answers) -> None:
    """Store answers as a batch of their own."""
    await log.append(given)
    await log.flush()


async def batches(log: PredictionLog, after: int = 0) -> list[PredictionBatch]:
    await log.flush()
    return [PredictionBatch.FromString(e.value) for e in await PredictionSource(log, "history").read(after, 1000)]


async def test_what_comes_at_once_is_one_batch(log: PredictionLog) -> None:
    await asyncio.gather(
        log.append(answers("1")),
        log.append(answers("2", answerer=V2, keys=["k"])),
        log.append(answers("3", "4", answerer=V2)),
    )
    (batch,) = await batches(log)
    assert list(batch.prediction_ids) == ["1", "2", "3", "4"]
    assert list(batch.keys) == ["1", "k", "3", "4"]
    assert [a.version for a in batch.answerers] == ["1.0.0", "1.1.0"]
    assert list(batch.answered_by) == [0, 1, 1, 1]
    assert np.frombuffer(batch.features, "<f4").tolist() == [0, 1, 0, 1, 0, 1, 2, 3]
    assert (batch.sequence, batch.log_id, batch.tenant) == (1, log.log_id, "acme")
    found = await log.find("acme", "flights", "2")
    assert found is not None
    assert (found.answerer, found.key, found.event_time_us) == (V2, "k", 0)
    assert await log.find("other", "flights", "2") is None
    assert await log.find("acme", "flights", "9") is None


async def test_unlike_answers_are_batches_of_their_own(log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MERGED_ROWS", 3)
    await asyncio.gather(
        log.append(answers("1", "2")),
        log.append(replace(answers("3"), tenant="other")),
        log.append(answers("4", "5")),
    )
    seen = [list(b.prediction_ids) for b in await batches(log)]
    assert seen == [["1", "2"], ["3"], ["4", "5"]]


async def test_an_id_that_serving_made_is_answered_from_the_log(log: PredictionLog) -> None:
    made = uuid7_texts(3)
    assert await log.append(answers(*made)) is None
    again = replace(answers(made[1], given=True), features=np.array([[2, 3]], np.float32))
    for _ in range(2):
        (found,) = await log.append(again) or ()
        assert (found.prediction_id, found.answerer) == (made[1], V1)
    with pytest.raises(AlreadyExists, match="already answered for other features"):
        await log.append(replace(again, features=again.features + 1))


async def test_given_ids_are_stored_once_even_at_once(log: PredictionLog) -> None:
    same = answers("1", "2", given=True)
    other = replace(same, features=same.features + 1)
    first, second, third = await asyncio.gather(
        log.append(same), log.append(same), log.append(other), return_exceptions=True
    )
    assert first is None
    assert isinstance(second, list)
    assert [(r.prediction_id, r.answerer) for r in second] == [("1", V1), ("2", V1)]
    assert isinstance(third, AlreadyExists)
    later = await log.append(same)
    assert later is not None
    assert later[0].outputs.tolist() == [0.5]
    with pytest.raises(AlreadyExists, match="'1' of flights"):
        await log.append(answers("0", "1", given=True))
    assert [list(b.prediction_ids) for b in await batches(log)] == [["1", "2"]]


async def test_a_stream_leaves_answers_progress_and_marks_together(log: PredictionLog) -> None:
    progress = Progress("t", 0, "i", 7, {})
    commit = StreamCommit(
        [answers("1", source=Source("p", 1)), answers("2", source=Source("p", 2))], {"p": 2}, progress
    )
    await log.append_stream(commit)
    assert log.reached("p") == 2
    assert [(b.source_producer, b.source_sequence) for b in await batches(log)] == [("p", 1), ("p", 2)]
    assert await log.load("t", 0) == progress
    await log.close()
    again = await PredictionLog.open(log.path, ManualClock())
    assert (again.log_id, again.sequence, again.reached("p")) == (log.log_id, 2, 2)
    assert await again.load("t", 0) == progress
    await again.close()


async def fill(log: PredictionLog, stored: list[str]) -> None:
    """Until the log takes no more; `stored` are the ids of the answers that it took."""
    for batch in range(100):
        ids = [f"{batch}.{n}" for n in range(200)]
        await log.append(answers(*ids))
        stored += ids


async def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    log, stored = await PredictionLog.open(tmp_path / "predictions.db", ManualClock(), most_bytes=200_000), list[str]()
    with pytest.raises(Unavailable, match="cannot be written: database or disk is full; nothing was stored"):
        await fill(log, stored)
    assert len(stored) > 400
    with pytest.raises(Unavailable, match="disk is full"):
        await log.append_stream(StreamCommit([answers(*(f"s{n}" for n in range(2000)))], {"p": 1}, None))
    assert log.reached("p") == 0
    seen = await batches(log)
    assert [i for b in seen for i in b.prediction_ids] == stored
    last = log.sequence
    assert [b.sequence for b in seen] == list(range(1, last + 1))
    await log.close()
    roomy = await PredictionLog.open(log.path, ManualClock())
    await roomy.append(answers("after"))
    assert await roomy.find("acme", "flights", "after") is not None
    assert roomy.sequence == last + 1
    await roomy.close()


async def test_a_disk_that_hangs_holds_so_many_answers_and_refuses_more(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_WAITING_BYTES", 600)
    going_on, commit = threading.Event(), log._commit

    def hangs(journaled: Any, requests: list[Answers]) -> Any:
        assert going_on.wait(150)
        return commit(journaled, requests)

    monkeypatch.setattr(log, "_commit", hangs)
    held = [asyncio.create_task(log.append(answers(f"p{n}", given=True))) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="too many predictions wait to be written"):
        await log.append(answers("p2", given=True))
    # The loop stays away from such a disk: the journal is not written either.
    monkeypatch.setattr(log_module, "PATIENCE_S", 0.0)
    with pytest.raises(Overloaded, match="too many predictions wait to be written"):
        await log.append(answers("p3"))
    going_on.set()
    await asyncio.gather(*held)
    await log.append(answers("p2"))
    assert await log.find("acme", "flights", "p2") is not None


async def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    await (await PredictionLog.open(newer, ManualClock())).close()
    with sqlite3.connect(newer) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    db.close()
    with pytest.raises(Unavailable, match="has format 99, written by a newer release; this one reads 6"):
        await PredictionLog.open(newer, ManualClock())
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 1000)
    with pytest.raises(Unavailable, match=r"broken\.db cannot be opened"):
        await PredictionLog.open(broken, ManualClock())


async def test_the_publisher_reads_from_any_place_and_waits_for_more(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = PredictionSource(log, "history")
    waiting = asyncio.create_task(source.wait(0, 10))
    for n in range(5):
        await log.append(answers(str(n), given=True))
    await waiting
    assert await source.head() == 5
    assert [e.position for e in await source.read(2, 2)] == [3, 4]
    (entry, *_) = await source.read(4, 10)
    assert (entry.key, entry.headers["ce_tenant"]) == (b"flights", "acme")
    await source.wait(4, 10)
    await source.wait(5, 0.01)
    monkeypatch.setattr("modelog_serving.predlog.publish.PUBLISHED_BYTES", 1)
    assert len(await source.read(0, 10)) == 1


async def test_reading_a_file_that_was_damaged_is_told(log: PredictionLog) -> None:
    await log.append(answers("1"))
    with pytest.raises(Unavailable, match="cannot be read"):
        await log.reading(lambda db: db.execute("SELECT nothing FROM batch"))
