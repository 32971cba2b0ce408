"""The journal of the prediction log: what was answered is in it until it is in the file, whatever happens between."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import uuid7_texts
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from modelog_serving.predlog import journal as journal_module
from modelog_serving.predlog import log as log_module
from modelog_serving.predlog.answers import Answerer, Answers, Source
from modelog_serving.predlog.journal import Journal, fits
from modelog_serving.predlog.journal_entry import Entry
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.publish import PredictionSource
from modelog_serving.predlog.writer import micros
from msgspec import structs

FILE = "predictions.db"


def answers(*ids: str, dtype: str = "<f4") -> Answers:
    rows = len(ids)
    return Answers(
        tenant="acme",
        deployment="flights",
        model="flight-delay",
        ids=ids,
        event_times_us=list(range(rows)),
        keys=[f"key of {i}" for i in ids],
        answerers=[Answerer("1.0.0", "a" * 64), Answerer("1.1.0", "b" * 64)],
        answered_by=np.arange(rows, dtype=np.uint8) % 2,
        feature_names=("a", "b"),
        features=np.arange(rows * 2).reshape(rows, 2).astype(dtype) / 3,
        outputs=np.full((rows, 1), 0.1, dtype),
        given_ids=False,
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def log(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PredictionLog]:
    """A log whose journal is put into the file only when a reader asks for it."""
    monkeypatch.setattr(log_module, "GATHER_S", 3600)
    opened = await PredictionLog.open(tmp_path / FILE, clock)
    yield opened
    await opened.close()


def in_file(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        bodies = db.execute("SELECT body FROM batch ORDER BY sequence").fetchall()
    return [i for (body,) in bodies for i in PredictionBatch.FromString(body).prediction_ids]


def as_killed(log: PredictionLog, to: Path) -> Path:
    """Its files as a process that is killed now leaves them."""
    shutil.copytree(log.path.parent, to)
    return to / FILE


async def told(log: PredictionLog) -> list[str]:
    """What a publisher finds."""
    entries = await PredictionSource(log, "history").read(0, 1000)
    return [i for entry in entries for i in PredictionBatch.FromString(entry.value).prediction_ids]


async def test_answers_are_stored_before_they_are_in_the_file_and_readers_find_them(log: PredictionLog) -> None:
    await log.append(answers("1", "2"))
    await log.append(answers("3"))
    assert (in_file(log.path), await told(log), log.sequence) == ([], [], 0)
    found = await log.find("acme", "flights", "2")
    assert found is not None
    assert (found.key, found.answerer.version) == ("key of 2", "1.1.0")
    assert in_file(log.path) == await told(log) == ["1", "2", "3"]
    # One transaction, one batch.
    assert log.sequence == 1
    assert [path.stat().st_size for path in log._journal.paths] == [0, 0]


async def test_what_a_killed_process_left_in_the_journal_is_in_the_log_again_as_it_was(
    log: PredictionLog, tmp_path: Path, clock: ManualClock
) -> None:
    answered_us = micros(clock.now())
    given = answers("1", "2", dtype="<f8")
    await log.append(given)
    path = as_killed(log, tmp_path / "killed")
    clock.advance(timedelta(hours=1))
    again = await PredictionLog.open(path, clock)
    assert in_file(path) == ["1", "2"]
    for row, prediction_id in enumerate(given.ids):
        found = await again.find("acme", "flights", prediction_id)
        assert found is not None
        assert found.features.tolist() == given.features[row].tolist()
        assert found.outputs.tolist() == given.outputs[row].tolist()
        assert found.answerer == given.answerers[row]
        assert (found.key, found.event_time_us) == (given.keys[row], given.event_times_us[row])
        assert (found.answered_at_us, found.model) == (answered_us, "flight-delay")
    await again.append(answers("3"))
    assert await again.find("acme", "flights", "3") is not None
    await again.close()
    assert in_file(path) == ["1", "2", "3"]


async def test_what_is_in_the_file_is_not_taken_from_the_journal_a_second_time(
    log: PredictionLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(answers("1"))

    def not_dropped(*given: Any) -> Any:
        outcomes = log._in_file.commit(*given)
        return log._in_file.sequence, outcomes

    monkeypatch.setattr(log, "_commit", not_dropped)
    await log.flush()
    await log.append(answers("2"))
    path = as_killed(log, tmp_path / "killed between the commit and the journal")
    assert in_file(path) == ["1"]
    assert sum((path.parent / f"{FILE}.{n}").stat().st_size > 0 for n in range(2)) == 2
    again = await PredictionLog.open(path, ManualClock())
    await again.close()
    assert in_file(path) == ["1", "2"]


@pytest.mark.parametrize("cut", [1, 10, 200])
async def test_a_frame_that_was_cut_off_counts_for_nothing_and_those_before_it_do(
    log: PredictionLog, tmp_path: Path, cut: int
) -> None:
    await log.append(answers("1"))
    await log.append(answers("2"))
    path = as_killed(log, tmp_path / "killed")
    journal = path.parent / f"{FILE}.0"
    with journal.open("r+b") as file:
        file.truncate(journal.stat().st_size - cut)
    again = await PredictionLog.open(path, ManualClock())
    assert in_file(path) == ["1"]
    await again.append(answers("3"))
    await again.close()
    assert in_file(path) == ["1", "3"]


async def test_a_damaged_frame_is_seen_and_nothing_after_it_is_read(log: PredictionLog, tmp_path: Path) -> None:
    for n in range(3):
        await log.append(answers(str(n)))
    path = as_killed(log, tmp_path / "killed")
    journal = path.parent / f"{FILE}.0"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    await (await PredictionLog.open(path, ManualClock())).close()
    assert in_file(path) == ["0"]


async def test_a_frame_that_the_disk_took_in_part_is_written_over(
    log: PredictionLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(answers("1"))
    whole = journal_module.os.pwrite

    def half(file: int, data: bytes, place: int) -> int:
        return whole(file, data[: len(data) // 2], place)

    with monkeypatch.context() as full:
        full.setattr(journal_module.os, "pwrite", half)
        with pytest.raises(OSError, match=r"predictions\.db\.0 took \d+ of \d+ bytes"):
            log._journal.append(answers("lost"), 0)
        # It goes into the file instead, and so does what was in the journal.
        await log.append(answers("2"))
    assert in_file(log.path) == ["1", "2"]
    await log.append(answers("3"))
    path = as_killed(log, tmp_path / "killed")
    await (await PredictionLog.open(path, ManualClock())).close()
    assert in_file(path) == ["1", "2", "3"]


async def test_while_one_file_is_put_away_the_other_takes_what_comes(
    log: PredictionLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on, commit = threading.Event(), log._commit

    def slowly(*args: Any) -> Any:
        assert going_on.wait(150)
        return commit(*args)

    await log.append(answers("1"))
    monkeypatch.setattr(log, "_commit", slowly)
    log._begin(asyncio.get_running_loop())
    await log.append(answers("2"))
    assert all(path.stat().st_size for path in log._journal.paths)
    path = as_killed(log, tmp_path / "killed")
    going_on.set()
    await log.flush()
    assert in_file(log.path) == ["1", "2"]
    assert [p.stat().st_size for p in log._journal.paths] == [0, 0]
    await (await PredictionLog.open(path, ManualClock())).close()
    assert in_file(path) == ["1", "2"]


async def test_while_the_file_takes_nothing_answers_are_refused_and_those_of_before_wait(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(answers("1"))

    def full(*_: Any) -> Any:
        raise Unavailable("the prediction log cannot be written: it is full; nothing was stored")

    with monkeypatch.context() as broken:
        broken.setattr(log, "_commit", full)
        await log.flush()
        for n in range(2):
            with pytest.raises(Unavailable, match="it is full"):
                await log.append(answers(f"refused {n}"))
    await log.append(answers("2"))
    await log.append(answers("3"))
    await log.flush()
    assert in_file(log.path) == ["1", "2", "3"]


async def test_the_journal_takes_no_more_than_the_file_has_room_for(tmp_path: Path) -> None:
    log = await PredictionLog.open(tmp_path / FILE, ManualClock(), most_bytes=200_000)
    stored = 0
    with pytest.raises(Unavailable, match="full"):
        for made in uuid7_texts(1000):
            await log.append(answers(*(f"{made}.{row}" for row in range(50))))
            stored += 50
    await log.flush()
    assert len(in_file(log.path)) == stored
    path = as_killed(log, tmp_path / "killed")
    await log.close()
    again = await PredictionLog.open(path, ManualClock(), most_bytes=100)
    await again.close()
    assert len(in_file(path)) == stored


async def test_what_is_read_back_is_found_though_the_file_may_be_no_larger(log: PredictionLog, tmp_path: Path) -> None:
    await log.append(answers(*(str(n) for n in range(2000))))
    path = as_killed(log, tmp_path / "killed")
    again = await PredictionLog.open(path, ManualClock(), most_bytes=4096)
    assert len(in_file(path)) == 2000
    await again.close()


def test_a_frame_has_a_place_for_all_that_answers_may_have() -> None:
    held = set(Entry.__struct_fields__)
    unfit = {"given_ids": True, "source": Source("p", 1), "watermark_us": 1, "sealed": True}
    assert held - {"answered_at_us", "rows"} | set(unfit) == {field.name for field in structs.fields(Answers)}
    assert fits(answers("1"))
    for name, value in unfit.items():
        assert not fits(structs.replace(answers("1"), **{name: value}))


def test_a_journal_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.0").mkdir()
    with pytest.raises(Unavailable, match="the journal of the prediction log .* cannot be used: .*directory"):
        PredictionLog(tmp_path / FILE, ManualClock())
    with pytest.raises(OSError, match="directory"):
        Journal(tmp_path / FILE)
