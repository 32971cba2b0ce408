"""Bodies of large batches beside the prediction log's database: found by all who read, there once whatever moment a
process dies at, and gone with what is dropped."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelog_common.domain.clock import ManualClock, SystemClock
from modelog_common.domain.errors import AlreadyExists, NotFound, Unavailable
from modelog_common.events.sqlite import SqliteEventStore
from modelog_proofs import InvalidProof, verify_inclusion
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from modelog_serving.predlog import bodies, file, index
from modelog_serving.predlog import log as log_module
from modelog_serving.predlog.answers import Answers, Source, to_batch
from modelog_serving.predlog.bodies import BodyFiles, Connection
from modelog_serving.predlog.followed import FollowedLog, OtherLogs
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.seal import Sealer
from modelog_serving.predlog.segments import Included
from modelog_serving.predlog.writer import StreamCommit, Writer
from msgspec.structs import replace
from test_dropped_predictions import KEEP_S, Kept
from test_prediction_log import answers, batches, in_file
from test_sealed_predictions import leaf_of

ROWS, FEATURES = 400, 20
STEPS = ("before the body", "within the body", "before the commit", "after the commit")


def large(name: str, *, given: bool = False, rows: int = ROWS) -> Answers:
    """A batch that does not lie in the database itself."""
    some = answers(*(f"{name}.{row}" for row in range(rows)), given=given)
    features = np.random.default_rng(len(name)).random((rows, FEATURES)).astype("<f4")
    return replace(some, features=features, feature_names=[f"f{n}" for n in range(FEATURES)])


def beside(path: Path) -> list[str]:
    """The files there are."""
    return sorted(found.name for found in BodyFiles(path).folder.glob("*"))


def ids_of(found: Sequence[PredictionBatch]) -> list[str]:
    """The first of each batch."""
    return [batch.prediction_ids[0] for batch in found]


def verify(found: Included) -> None:
    """Raises InvalidProof unless an answer is in its segment."""
    root = bytes.fromhex(found.segment.root)
    verify_inclusion(leaf_of(found), found.leaf_index, found.segment.leaves, found.path, root)


def as_killed(log: PredictionLog, to: Path) -> Path:
    shutil.copytree(log.path.parent, to)
    return to / log.path.name


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[PredictionLog]:
    opened = await PredictionLog.open(tmp_path / "log" / "predictions.db", ManualClock())
    yield opened
    await opened.close()


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    clock = ManualClock()
    store = await SqliteEventStore.open(tmp_path / "events.db", clock)
    made = Kept(store, await PredictionLog.open(tmp_path / "log" / "predictions.db", clock), clock)
    yield made
    await made.log.close()
    await store.close()


async def test_a_large_batch_lies_beside_the_database_and_is_read_as_any(log: PredictionLog) -> None:
    given = large("a")
    await in_file(log, given)
    await in_file(log, answers("small"))
    first, second = await batches(log)
    assert first == to_batch(given, 1, log.log_id, first.answered_at_us)
    assert ids_of([second]) == ["small"]
    assert beside(log.path) == ["0000000001"]
    with closing(sqlite3.connect(log.path)) as db:
        sizes = db.execute("SELECT length(body), size FROM batch ORDER BY sequence").fetchall()
    assert sizes == [(0, first.ByteSize()), (second.ByteSize(), 0)]
    found = await log.find("acme", "flights", "a.399")
    assert found is not None
    assert found.features.tolist() == given.features[399].tolist()


async def test_an_id_that_was_answered_is_answered_from_a_body_beside(log: PredictionLog) -> None:
    asked = large("a", given=True)
    assert await log.append(asked) is None
    again = await log.append(asked)
    assert again is not None
    assert [one.prediction_id for one in again] == list(asked.ids)
    with pytest.raises(AlreadyExists):
        await log.append(replace(asked, features=asked.features + 1))


async def test_it_is_sealed_and_proven(kept: Kept) -> None:
    await in_file(kept.log, large("a"))
    found = await kept.evidence.included("acme", "flights", "a.7")
    assert (found.prediction.prediction_id, found.segment.count) == ("a.7", ROWS)
    (batch,) = await batches(kept.log)
    assert found.segment.digest == hashlib.sha256(batch.SerializeToString()).hexdigest()


async def test_what_is_altered_beside_the_database_is_found_by_the_proofs(kept: Kept) -> None:
    await in_file(kept.log, large("a"))
    found = await kept.evidence.included("acme", "flights", "a.7")
    verify(found)
    body = BodyFiles(kept.log.path).folder / "0000000001"
    features = large("a").features
    altered = body.read_bytes().replace(features[9].tobytes(), features[10].tobytes())
    assert altered != body.read_bytes()
    body.write_bytes(altered)
    found = await kept.evidence.included("acme", "flights", "a.7")
    with pytest.raises(InvalidProof):
        verify(found)


async def test_the_files_are_filled_one_after_the_other(log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log._in_file, "_most_file_bytes", 100_000)
    for name in "abcde":
        await in_file(log, large(name))
    assert beside(log.path) == ["0000000001", "0000000002", "0000000003"]
    assert ids_of(await batches(log)) == [f"{name}.0" for name in "abcde"]


async def killed_at(step: str, path: Path) -> None:
    """Answer one batch, begin with another and die."""
    log = await PredictionLog.open(path, SystemClock())
    await in_file(log, large("whole"))
    write, body, commit = os.pwritev, BodyFiles.write, Writer.commit

    def die(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half(handle: int, parts: Sequence[Any], at: int) -> None:
        joined = b"".join(parts)
        write(handle, [joined[: len(joined) // 2]], at)
        die()

    if step == "before the body":
        os.pwritev = die  # type: ignore[assignment]
    if step == "within the body":
        os.pwritev = half  # type: ignore[assignment]
    if step == "before the commit":
        BodyFiles.write = lambda *of: (body(*of), die())  # type: ignore[method-assign, return-value, assignment]
    if step == "after the commit":
        Writer.commit = lambda *of: (commit(*of), die())  # type: ignore[method-assign, return-value, assignment]
    await log.append(large("killed"))
    print("answered", flush=True)
    await log.flush()


@pytest.mark.parametrize("step", STEPS)
async def test_what_was_answered_is_there_once_whatever_moment_the_process_dies_at(tmp_path: Path, step: str) -> None:
    path = tmp_path / "log" / "predictions.db"
    program = (
        "import asyncio, sys; from pathlib import Path; from test_prediction_bodies import killed_at; "
        "asyncio.run(killed_at(sys.argv[1], Path(sys.argv[2])))"
    )
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, step, str(path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "answered\n"), died.stderr
    log = await PredictionLog.open(path, SystemClock())
    await in_file(log, large("after"))
    found = await batches(log)
    assert ids_of(found) == ["whole.0", "killed.0", "after.0"]
    expected = to_batch(large("killed"), 2, log.log_id, found[1].answered_at_us)
    assert found[1] == expected
    # What had been written of it before is written over.
    assert sum(each.stat().st_size for each in BodyFiles(path).folder.iterdir()) == sum(b.ByteSize() for b in found)
    await log.close()


async def test_what_a_power_failure_took_is_not_named_any_more(log: PredictionLog, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        await in_file(log, large(name, given=name == "b"))
    sizes = [batch.ByteSize() for batch in await batches(log)]
    path = as_killed(log, tmp_path / "killed")
    body = BodyFiles(path).folder / "0000000001"
    with body.open("r+b") as damaged:
        # The system may have written what came last, and not what was before it.
        damaged.seek(sizes[0] + 10)
        damaged.write(bytes(5000))
    again = await PredictionLog.open(path, ManualClock())
    assert ids_of(await batches(again)) == ["a.0", "c.0"]
    assert await again.find("acme", "flights", "b.1") is None
    assert await again.find("acme", "flights", "c.1") is not None
    assert await again.append(large("b", given=True)) is None
    assert ids_of(await batches(again)) == ["a.0", "c.0", "b.0"]
    await again.close()


async def test_who_follows_a_log_does_not_read_what_a_power_failure_took(log: PredictionLog, tmp_path: Path) -> None:
    await in_file(log, large("a"))
    size = (await batches(log))[0].ByteSize()
    await in_file(log, large("b"))
    path = as_killed(log, tmp_path / "killed")
    os.truncate(BodyFiles(path).folder / "0000000001", size)
    followed = await FollowedLog.open(path, ManualClock())
    assert ids_of(await batches(followed)) == ["a.0"]
    await followed.close()


async def test_a_log_is_opened_by_another_process_while_it_is_written(log: PredictionLog) -> None:
    await in_file(log, large("a"))
    for name in "bcd":
        followed = await FollowedLog.open(log.path, ManualClock())
        await in_file(log, large(name))
        assert ids_of(await batches(followed))[-1] == f"{name}.0"
        await followed.close()
    assert ids_of(await batches(log)) == [f"{name}.0" for name in "abcd"]


async def test_a_file_that_is_cut_off_or_not_there_after_a_power_failure(log: PredictionLog, tmp_path: Path) -> None:
    await in_file(log, large("a"))
    size = (await batches(log))[0].ByteSize()
    await in_file(log, large("b"))
    path = as_killed(log, tmp_path / "cut")
    os.truncate(BodyFiles(path).folder / "0000000001", size + 100)
    cut = await PredictionLog.open(path, ManualClock())
    await in_file(cut, large("c"))
    assert ids_of(await batches(cut)) == ["a.0", "c.0"]
    await cut.close()
    path = as_killed(log, tmp_path / "gone")
    shutil.rmtree(BodyFiles(path).folder)
    gone = await PredictionLog.open(path, ManualClock())
    await in_file(gone, large("c"))
    assert ids_of(await batches(gone)) == ["c.0"]
    await gone.close()


async def test_bodies_are_brought_to_the_disk_before_what_names_them_is(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "CHECKPOINT_BYTES", 100_000)
    synced, real = [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: synced.append(in_place(log.path)) or real(handle))
    for name in "abc":
        await in_file(log, large(name))
    assert (synced, in_place(log.path)) == ([0], 3)
    assert await log.reading(lambda db: file.meta(db, "synced")) == "3"


def in_place(path: Path) -> int:
    """How many batches a database has that are not in its WAL only."""
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'batch'").fetchall():
            return 0
        (found,) = db.execute("SELECT count(*) FROM batch").fetchone()
        return int(found)


async def test_what_was_brought_to_the_disk_is_not_looked_at_again(log: PredictionLog, tmp_path: Path) -> None:
    await in_file(log, large("a"))
    await log.writing(lambda db: file.keep_meta(db, "synced", "1"))
    await in_file(log, large("b"))
    path, held = as_killed(log, tmp_path / "killed"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BodyFiles, "holds", lambda _self, place: held.append(place.at) or True)
        await (await PredictionLog.open(path, ManualClock())).close()
    assert len(held) == 1
    assert held[0] > 0


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_file_that_somebody_took_away_is_told_and_a_restart_goes_on_without_it(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    monkeypatch.setattr(kept.log._in_file, "_most_file_bytes", 100_000)
    for name in "abc":
        await in_file(kept.log, large(name))
        if sealed:
            await kept.sealer.seal_due()
    await kept.log.writing(lambda db: file.keep_meta(db, "synced", "3"))
    (BodyFiles(kept.log.path).folder / "0000000001").unlink()
    with pytest.raises(Unavailable, match="cannot be read: .*0000000001 is not there"):
        await kept.sequences()
    if not sealed:
        with pytest.raises(Unavailable, match="cannot be read: .*0000000001 is not there"):
            await kept.sealer.seal_due()
    again = await kept.again()
    assert await again.sequences() == [3]
    await again.sealer.seal_due()
    assert await again.anchors() == ([1, 2, 3] if sealed else [3])
    with pytest.raises(NotFound):
        await again.evidence.find("acme", "flights", "a.1")
    found = await again.evidence.included("acme", "flights", "c.1")
    verify(found)
    await in_file(again.log, large("d"))
    await again.sealer.seal_due()
    again.published = 4
    again.clock.advance(timedelta(seconds=KEEP_S + 1))
    await again.retention.drop_due()
    assert await again.sequences() == []
    await again.log.close()


async def test_a_segment_that_lost_a_batch_proves_nothing_any_more(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.log._in_file, "_most_file_bytes", 1)
    for name in "ab":
        await in_file(kept.log, large(name))
    await Sealer(kept.log, kept.sealer._entities, kept.clock, 1, 1 << 30).seal("acme")
    await kept.log.writing(lambda db: file.keep_meta(db, "synced", "2"))
    (BodyFiles(kept.log.path).folder / "0000000001").unlink()
    again = await kept.again()
    assert await again.anchors() == [1]
    assert (await again.evidence.find("acme", "flights", "b.1")).prediction_id == "b.1"
    with pytest.raises(NotFound, match=r"'b.1' cannot be proven any more: segment 1 of .* has lost answers"):
        await again.evidence.included("acme", "flights", "b.1")
    await again.log.close()


async def test_what_is_dropped_gives_its_files_back(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.log._in_file, "_most_file_bytes", 100_000)
    for name in "abcde":
        await in_file(kept.log, large(name))
        await kept.sealer.seal_due()
        kept.clock.advance(timedelta(seconds=KEEP_S / 3))
    kept.published = 5
    await kept.retention.drop_due()
    assert await kept.sequences() == [3, 4, 5]
    assert beside(kept.log.path) == ["0000000002", "0000000003"]
    with pytest.raises(NotFound, match="was dropped"):
        await kept.evidence.find("acme", "flights", "a.1")
    kept.clock.advance(timedelta(days=1))
    await kept.retention.drop_due()
    assert (await kept.sequences(), beside(kept.log.path)) == ([], [])
    await in_file(kept.log, large("f"))
    assert beside(kept.log.path) == ["0000000004"]
    assert (await kept.evidence.included("acme", "flights", "f.1")).segment.first == 6


async def test_files_that_a_killed_process_had_dropped_are_removed(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    await in_file(kept.log, large("a"))
    await kept.sealer.seal_due()
    kept.clock.advance(timedelta(days=1))
    kept.published = 1
    with monkeypatch.context() as patch:
        patch.setattr(BodyFiles, "ended", lambda _self, committed: None)
        await kept.retention.drop_due()
    assert beside(kept.log.path) == ["0000000001"]
    after = await kept.again()
    assert beside(after.log.path) == []
    await in_file(after.log, large("b"))
    await after.log.close()
    assert beside(after.log.path) == ["0000000002"]


async def test_what_is_not_committed_is_not_dropped(kept: Kept) -> None:
    await in_file(kept.log, large("a"))

    def fails(db: Connection) -> None:
        db.execute("DELETE FROM batch")
        bodies.forget(db, [1])
        raise sqlite3.OperationalError("something else")

    with pytest.raises(Unavailable, match="something else"):
        await kept.log.writing(fails)
    await kept.log.writing(lambda db: None)
    assert ids_of(await batches(kept.log)) == ["a.0"]


async def test_who_reads_what_is_dropped_meanwhile_sees_that_it_is_gone(kept: Kept) -> None:
    await in_file(kept.log, large("a"))
    await in_file(kept.log, large("b"))
    await kept.sealer.seal_due()
    kept.clock.advance(timedelta(days=1))
    kept.published = 2
    await in_file(kept.log, answers("c"))
    loop, turns = asyncio.get_running_loop(), []

    def read(db: Connection) -> list[int]:
        turns.append(1)
        db.execute("BEGIN")
        try:
            db.execute("SELECT 1 FROM batch").fetchone()
            if len(turns) == 1:
                asyncio.run_coroutine_threadsafe(kept.retention.drop_due(), loop).result()
            return [batch.sequence for batch in file.batches(db, "sequence > ? ORDER BY sequence", (0,))]
        finally:
            db.execute("ROLLBACK")

    assert await kept.log.reading(read) == [3]
    assert len(turns) == 2


async def test_an_id_whose_batch_is_dropped_while_it_is_looked_for_is_not_there(log: PredictionLog) -> None:
    await in_file(log, large("a"))
    turns = []

    def look(db: Connection) -> object:
        turns.append(1)
        return index.recorded(db, 7, 0) if len(turns) == 1 else None

    assert await log.reading(look) is None
    assert len(turns) == 2


async def test_a_limit_counts_what_lies_beside(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "SMALL_FILE_BYTES", 1)
    most_bytes = 1_500_000
    small = await kept.again(most_bytes)
    with pytest.raises(Unavailable, match="database or disk is full; nothing was stored"):
        for batch in range(100):
            await small.log.append(large(f"{batch}", given=True))
            await small.sealer.seal_due()
    assert 10 < len(await small.sequences()) < 40
    assert taken(small.log.path) <= most_bytes
    small.published = small.log.sequence
    await small.log.append(large("more", given=True))
    assert (await small.sequences())[0] > 1
    for batch in range(100, 140):
        await small.log.append(large(f"{batch}", given=True))
        await small.sealer.seal_due()
        small.published = small.log.sequence
        await small.retention.drop_due()
        assert taken(small.log.path) <= most_bytes
    assert (await small.evidence.included("acme", "flights", "139.1")).prediction.prediction_id == "139.1"
    await small.log.close()


def taken(path: Path) -> int:
    """What the log takes of the disk, without what is on its way into it."""
    return sum(each.stat().st_size for each in [path, *BodyFiles(path).folder.glob("*")])


async def test_what_was_freed_in_a_file_of_before_is_used_first(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "SMALL_FILE_BYTES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(bodies, "BESIDE_BYTES", 1 << 40)
        for batch in range(10):
            await in_file(kept.log, large(f"{batch}"))
    await kept.sealer.seal_due()
    kept.clock.advance(timedelta(days=1))
    whole = await kept.again()
    limited = await whole.again(most_bytes=whole.log.path.stat().st_size + 300_000)
    limited.published = 10
    assert (await limited.evidence.included("acme", "flights", "9.9")).segment.position
    await in_file(limited.log, large("beside"))
    assert beside(limited.log.path) == ["0000000001"]
    limited.published = 11
    await limited.retention.drop_due()
    await in_file(limited.log, large("inside"))
    assert ids_of(await batches(limited.log)) == ["beside.0", "inside.0"]
    with closing(sqlite3.connect(limited.log.path)) as db:
        assert db.execute("SELECT file FROM batch ORDER BY sequence").fetchall() == [(1,), (0,)]
    await limited.log.close()


def no_room(*_: Any) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def some_room(handle: int, parts: Sequence[Any], at: int) -> int:
    return os.pwrite(handle, bytes(parts[0])[:5], at)


@pytest.mark.parametrize("write", [no_room, some_room])
async def test_a_full_disk_is_told_and_what_is_in_the_journal_waits(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch, write: Callable[..., int]
) -> None:
    monkeypatch.setattr(log_module, "AGAIN_S", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", write)
        assert await log.append(large("waits")) is None
        await log.flush()
        with pytest.raises(Unavailable, match="cannot be written: database or disk is full; nothing was stored"):
            await log.append(large("refused", given=True))
    assert ids_of(await batches(log)) == ["waits.0"]
    assert await log.append(large("refused", given=True)) is None
    assert ids_of(await batches(log)) == ["waits.0", "refused.0"]


async def test_a_body_that_cannot_be_read_is_told(log: PredictionLog) -> None:
    await in_file(log, large("a"))
    os.truncate(BodyFiles(log.path).folder / "0000000001", 100)
    with pytest.raises(Unavailable, match="cannot be read: .*0000000001 ends before byte"):
        await log.find("acme", "flights", "a.1")
    shutil.rmtree(BodyFiles(log.path).folder)
    with pytest.raises(Unavailable, match="cannot be read: .*0000000001 is not there"):
        await log.find("acme", "flights", "a.1")


async def test_answers_whose_requests_count_as_handled_are_in_the_database_itself(log: PredictionLog) -> None:
    """A power failure takes both or none."""
    await log.append_stream(StreamCommit([replace(large("a"), source=Source("them", 1))], {"them": 1}, None))
    assert ids_of(await batches(log)) == ["a.0"]
    assert beside(log.path) == []


async def test_another_process_reads_them_and_drops_them(tmp_path: Path) -> None:
    """As the process that decides does with what its workers answer."""
    clock = ManualClock()
    store = await SqliteEventStore.open(tmp_path / "events.db", clock)
    theirs = await PredictionLog.open(tmp_path / "log" / "predictions.db", clock)
    followed = Kept(store, await FollowedLog.open(theirs.path, clock), clock)
    await in_file(theirs, large("a", given=True))
    await followed.log.flush()
    assert ids_of(await batches(followed.log)) == ["a.0"]
    others = OtherLogs([theirs.path])
    known = others.known(large("a", given=True))
    assert isinstance(known, list)
    assert known[1].prediction_id == "a.1"
    await others.close()
    await followed.sealer.seal("acme")
    clock.advance(timedelta(days=1))
    followed.published = 1
    await followed.retention.drop_due()
    assert beside(theirs.path) == []
    await in_file(theirs, large("b"))
    await followed.log.look()
    assert (ids_of(await batches(followed.log)), beside(theirs.path)) == (["b.0"], ["0000000002"])
    await followed.log.close()
    await theirs.close()
    await store.close()
