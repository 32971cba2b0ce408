"""The prediction log, sealed: segments by size and time, told once, also after a crash at the worst moment."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Invalid, NotFound, Unavailable
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import StoredEvent
from modelog_lineage.audit.prediction import record_of as told_of
from modelog_proofs import InGroup, InvalidProof, group_hash, leaf_among, prediction_hash, row_hash, verify_inclusion
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from modelog_proto.serving.v1.deployment_pb2 import LoggedPrediction
from modelog_serving.events import EVENTS
from modelog_serving.predlog import segments
from modelog_serving.predlog.answers import Answerer, Answers, to_batch
from modelog_serving.predlog.evidence import Evidence
from modelog_serving.predlog.evidence import Sealed as SealedLog
from modelog_serving.predlog.groups import groups_of
from modelog_serving.predlog.leaves import leaf_hashes, record_of
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.publish import PredictionSource
from modelog_serving.predlog.seal import Sealer
from modelog_serving.predlog.segments import Included
from modelog_serving.segment.decide import SEGMENTS
from msgspec import structs
from test_prediction_log import V1, V2, answers, in_file

EVERY_S = 60.0


@dataclass
class Sealed:
    """A log, what seals it, and where it tells of it."""

    folder: Path
    clock: ManualClock
    store: SqliteEventStore
    log: PredictionLog
    most_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        entities = Entities(self.store, SEGMENTS, EVENTS)
        self.sealer = Sealer(self.log, entities, self.clock, EVERY_S, self.most_bytes)
        self.evidence = Evidence([SealedLog(self.log, self.sealer)])

    async def again(self, most_bytes: int = 1_000_000) -> Sealed:
        """After a restart."""
        await self.log.close()
        log = await PredictionLog.open(self.log.path, self.clock)
        return Sealed(self.folder, self.clock, self.store, log, most_bytes)

    async def told(self) -> list[tuple[StoredEvent, dict[str, Any]]]:
        return [
            (e, json.loads(e.payload)) async for e in self.store.read_all() if e.type == "serving.PredictionsSealed"
        ]

    async def proven(self, prediction_id: str, tenant: str = "acme", deployment: str = "flights") -> int:
        """The position of the event that holds an answer, after looking whether it does."""
        found = await self.evidence.included(tenant, deployment, prediction_id)
        assert found.prediction.prediction_id == prediction_id
        (event,) = [
            e async for e in self.store.read_all(after=found.segment.position - 1, until=found.segment.position)
        ]
        assert event.tenant == tenant
        told = json.loads(event.payload)
        assert event.schema == 2
        verify_inclusion(leaf_of(found), found.leaf_index, told["leaves"], found.path, bytes.fromhex(told["root"]))
        return event.position


def leaf_of(found: Included) -> bytes:
    return leaf_among(found.prediction, InGroup(found.row, found.row_hashes))


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[Sealed]:
    clock = ManualClock()
    store = await SqliteEventStore.open(tmp_path / "events.db", clock)
    made = Sealed(tmp_path, clock, store, await PredictionLog.open(tmp_path / "predictions.db", clock))
    yield made
    await made.log.close()
    await store.close()


def other(given: Answers) -> Answers:
    return structs.replace(given, tenant="other")


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("keys", [(), ("k", "ü", ""), ("k1", "k2", "ü")])
@pytest.mark.parametrize("ids", ["123", ("1", "12", "ü23")])
@pytest.mark.parametrize("versions", [(V1,), (V1, V2), (V1, structs.replace(V2, version="10.1.0"))])
@pytest.mark.parametrize("times", [(1, 2, 3), (9, 10, -11)])
def test_the_quick_way_to_leaves_is_the_specified_one(
    exact: bool, keys: Sequence[str], ids: Sequence[str], versions: Sequence[Answerer], times: Sequence[int]
) -> None:
    given = structs.replace(answers(*ids, keys=keys), event_times_us=times)
    numbers = np.array([[0.1, np.nan], [-0.0, 2.0**60 + 0.1], [3.0, -1.5]])
    features = numbers if exact else numbers.astype(np.float32)
    outputs = np.array([[0.1], [np.inf], [-np.nan]], features.dtype)
    mixed = structs.replace(
        given,
        answerers=versions,
        answered_by=np.array([1, 0, 1], np.uint8) % len(versions),
        features=features,
        outputs=outputs,
    )
    for some in (mixed, rowless(mixed)):
        batch = to_batch(some, 7, "log", 5)
        records = [record_of(batch, row) for row in range(3)]
        assert leaf_hashes(batch) == [prediction_hash(record) for record in records]
        groups = groups_of(batch)
        hashes = [row_hash(record) for record in records]
        assert [each for group in groups for each in group.row_hashes] == hashes
        for group in groups:
            assert group.leaf_hash == group_hash(records[group.first], group.row_hashes)
        assert [group.first for group in groups] == ([0] if len(versions) == 1 else [0, 1, 2])


def rowless(given: Answers) -> Answers:
    """The same without features, which a model may have none of."""
    return structs.replace(given, feature_names=(), features=given.features[:, :0])


def noted(*ids: str) -> Answers:
    """Answers with a text and a number on either side."""
    features = np.array([["für Zoë ✈", 0.1], ["", np.nan], ["a\0b", 3.0]], object)[: len(ids)]
    outputs = np.array([[0.5, "late"], [np.nan, ""], [1.0, "on time"]], object)[: len(ids)]
    return structs.replace(answers(*ids), feature_names=("note", "hour"), features=features, outputs=outputs)


def test_the_leaves_of_answers_with_texts_are_the_specified_ones() -> None:
    batch = to_batch(noted("1", "2", "3"), 7, "log", 5)
    records = [record_of(batch, row) for row in range(3)]
    assert leaf_hashes(batch) == [prediction_hash(record) for record in records]
    assert (records[0].feature_texts, records[0].output_texts) == (("für Zoë ✈", ""), ("", "late"))
    # Lineage gets them as a message, and tells of the same.
    told = [told_of(LoggedPrediction(**asdict(record))) for record in records]
    assert [prediction_hash(each) for each in told] == leaf_hashes(batch)
    (group,) = groups_of(batch)
    assert group.row_hashes == [row_hash(each) for each in told]
    assert group.leaf_hash == group_hash(told[1], group.row_hashes)
    assert len(set(leaf_hashes(batch))) == len(set(group.row_hashes)) == 3
    for altered in ({"feature_texts": ("für Zoë", "")}, {"output_texts": ("", "Late")}):
        for hashed in (prediction_hash, row_hash):
            assert hashed(replace(records[0], **altered)) != hashed(records[0])


async def test_answers_with_texts_are_sealed_and_proven(sealed: Sealed) -> None:
    await sealed.log.append(noted("1", "2", "3"))
    await sealed.log.append(answers("4"))
    sealed.clock.advance(timedelta(seconds=EVERY_S))
    await sealed.sealer.seal_due()
    ((event, _),) = await sealed.told()
    assert [await sealed.proven(each) for each in "1234"] == [event.position] * 4


async def test_a_segment_is_sealed_when_it_is_old_enough(sealed: Sealed) -> None:
    await in_file(sealed.log, answers("1", "2"))
    sealed.clock.advance(timedelta(seconds=EVERY_S / 2))
    await in_file(sealed.log, answers("3"))
    await in_file(sealed.log, other(answers("4")))
    await sealed.sealer.seal_due()
    assert await sealed.told() == []
    sealed.clock.advance(timedelta(seconds=EVERY_S / 2))
    await sealed.sealer.seal_due()
    ((event, told),) = await sealed.told()
    bodies = [entry.value for entry in await PredictionSource(sealed.log, "h").read(0, 2)]
    assert (told["number"], told["first"], told["last"], told["count"], told["leaves"]) == (1, 1, 2, 3, 2)
    assert told["digest"] == hashlib.sha256(b"".join(bodies)).hexdigest()
    assert told["size_bytes"] == sum(map(len, bodies))
    assert (event.tenant, event.actor) == ("acme", "service:serving")
    assert [await sealed.proven(each) for each in "123"] == [event.position] * 3
    sealed.clock.advance(timedelta(seconds=EVERY_S))
    await sealed.sealer.seal_due()
    assert [(e.tenant, told["first"], told["last"]) for e, told in await sealed.told()][1:] == [("other", 3, 3)]


async def test_a_segment_is_sealed_when_it_is_large_enough(sealed: Sealed) -> None:
    one = await sealed.again(most_bytes=1)
    for n in range(5):
        await in_file(one.log, answers(str(n)))
    await one.sealer.seal_due()
    assert [(t["number"], t["first"], t["last"]) for _, t in await one.told()] == [(n, n, n) for n in range(1, 6)]
    await one.log.close()


async def test_what_is_not_sealed_yet_is_sealed_when_it_is_asked_for(sealed: Sealed) -> None:
    await in_file(sealed.log, answers("1"))
    await in_file(sealed.log, other(answers("2")))
    position = await sealed.proven("1")
    assert await sealed.proven("1") == position
    assert [e.tenant for e, _ in await sealed.told()] == ["acme"]
    await in_file(sealed.log, answers("3"))
    assert await sealed.proven("3") > position
    with pytest.raises(NotFound, match="has no prediction '9' of 'flights'"):
        await sealed.evidence.included("acme", "flights", "9")
    with pytest.raises(NotFound, match="has no prediction '1'"):
        await sealed.evidence.included("other", "", "1")


async def test_a_deployment_must_be_named_where_several_have_the_id(sealed: Sealed) -> None:
    await in_file(sealed.log, answers("1"))
    await in_file(sealed.log, structs.replace(answers("1"), deployment="trains"))
    await in_file(sealed.log, answers("2"))
    with pytest.raises(Invalid, match="deployment: is needed: there is a prediction '1' of flights, trains"):
        await sealed.evidence.included("acme", "", "1")
    assert await sealed.proven("2", deployment="") == await sealed.proven("1", deployment="trains")


async def test_a_log_goes_on_where_it_was_sealed(sealed: Sealed) -> None:
    await in_file(sealed.log, answers("1"))
    await in_file(sealed.log, other(answers("2")))
    await sealed.proven("1")
    await in_file(sealed.log, answers("3"))
    after = await sealed.again()
    assert [await after.proven(each) for each in "131"] == [1, 2, 1]
    assert await after.proven("2", tenant="other") == 3
    assert [(t["number"], t["first"], t["last"]) for _, t in await after.told()] == [(1, 1, 1), (2, 3, 3), (1, 2, 2)]
    await after.log.close()


async def test_a_crash_between_writing_down_and_telling_tells_once(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_file(sealed.log, answers("1"))

    async def crash(*_: object) -> int:
        raise Unavailable("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(sealed.sealer, "_tell", crash)
        with pytest.raises(Unavailable):
            await sealed.evidence.included("acme", "flights", "1")
    await in_file(sealed.log, answers("2"))
    after = await sealed.again()
    with monkeypatch.context() as patch:
        patch.setattr(segments, "told", lambda *_, **__: None)
        with pytest.raises(Unavailable, match="'1' is not sealed yet; try again"):
            await after.evidence.included("acme", "flights", "1")
    last = await after.again()
    assert [await last.proven(each) for each in "12"] == [1, 2]
    assert len(await last.told()) == 2
    await last.log.close()


async def test_a_file_of_before_there_were_segments_is_sealed_from_its_start(sealed: Sealed) -> None:
    await in_file(sealed.log, answers("1"))
    await sealed.log.writing(lambda db: db.execute("DROP TABLE segment"))
    await sealed.log.writing(lambda db: db.execute("UPDATE meta SET value = '1' WHERE key = 'format'"))
    after = await sealed.again()
    assert await after.proven("1") == 1
    await after.log.close()


async def test_batches_are_as_they_were(sealed: Sealed) -> None:
    """What is published is not touched by sealing."""
    await in_file(sealed.log, answers("1", "2"))
    before = [entry.value for entry in await PredictionSource(sealed.log, "h").read(0, 9)]
    await sealed.proven("1")
    assert [entry.value for entry in await PredictionSource(sealed.log, "h").read(0, 9)] == before
    assert list(PredictionBatch.FromString(before[0]).prediction_ids) == ["1", "2"]


def many(*, batches: int = 3, rows: int = 40) -> list[Answers]:
    """Requests whose answers do not go into one leaf each."""
    return [answers(*[f"{n}/{row}" for row in range(rows)], keys=(f"k{n}",) * rows) for n in range(batches)]


async def test_a_leaf_is_up_to_32_answers_of_a_batch(sealed: Sealed) -> None:
    for each in many():
        await in_file(sealed.log, each)
    places = []
    for prediction_id in ("0/0", "0/31", "0/32", "1/0", "2/39"):
        await sealed.proven(prediction_id)
        found = await sealed.evidence.included("acme", "flights", prediction_id)
        places.append((found.leaf_index, found.row, len(found.row_hashes)))
    assert places == [(0, 0, 31), (0, 31, 31), (1, 0, 7), (2, 0, 31), (5, 7, 7)]
    ((_, told),) = await sealed.told()
    assert (told["count"], told["leaves"]) == (120, 6)


async def test_a_proof_tells_nothing_of_the_other_answers_of_its_request(sealed: Sealed) -> None:
    """But their hashes."""
    secret = structs.replace(answers("r/0", "r/1"), features=np.array([[1, 2], [7.25, 2.0**-30]], np.float32))
    await in_file(sealed.log, secret)
    found = await sealed.evidence.included("acme", "flights", "r/0")
    told = str(found)
    assert "r/0" in told
    assert "r/1" not in told
    assert "7.25" not in told


def spoiled(body: bytes, change: str) -> bytes:
    """A stored batch with something altered."""
    batch = PredictionBatch.FromString(body)
    features, ids = np.frombuffer(batch.features, "<f4").reshape(len(batch.prediction_ids), -1).copy(), None
    match change:
        case "a feature":
            features[33, 1] += 1
        case "two rows' features":
            features[[33, 34]] = features[[34, 33]]
        case "two rows of two leaves":
            features[[3, 34]] = features[[34, 3]]
        case "an id":
            batch.prediction_ids[33] = "1/x"
        case "two ids":
            ids = list(batch.prediction_ids)
            ids[33], ids[34] = ids[34], ids[33]
            batch.prediction_ids[:] = ids
        case "a key":
            batch.keys[34] = "k"
        case "a time":
            batch.event_times_us[33] += 1
        case "the answering":
            batch.answered_at_us += 1
        case "the version":
            batch.answerers[0].version = "1.0.1"
        case "an output":
            batch.outputs = bytes([batch.outputs[0] ^ 1]) + batch.outputs[1:]
        case "a name":
            batch.feature_names[0] = "c"
        case "a row less":
            whole = to_batch(answers(*batch.prediction_ids[:-1], keys=batch.keys[:-1]), batch.sequence, "", 0)
            whole.log_id, whole.answered_at_us = batch.log_id, batch.answered_at_us
            return whole.SerializeToString()
    batch.features = features.tobytes()
    return batch.SerializeToString()


CHANGES = (
    "a feature", "two rows' features", "two rows of two leaves", "an id", "two ids", "a key", "a time",
    "the answering", "the version", "an output", "a name",
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_altered_in_the_file_is_found_by_all_proofs_of_the_segment(sealed: Sealed, change: str) -> None:
    for each in many():
        await in_file(sealed.log, each)
    await sealed.proven("1/35")
    await alter(sealed, change)
    for prediction_id in ("0/0", "1/35", "1/0", "2/5"):
        with pytest.raises(InvalidProof, match="does not lead to the root"):
            await sealed.proven(prediction_id)


async def test_a_row_that_is_gone_from_the_file_is_missed(sealed: Sealed) -> None:
    for each in many():
        await in_file(sealed.log, each)
    await sealed.proven("1/35")
    await alter(sealed, "a row less")
    with pytest.raises(
        NotFound, match="'1/35' cannot be proven any more: segment 1 of the prediction log has lost answers"
    ):
        await sealed.evidence.included("acme", "flights", "1/35")


async def alter(sealed: Sealed, change: str) -> None:
    def work(db: sqlite3.Connection) -> None:
        ((body,),) = db.execute("SELECT body FROM batch WHERE sequence = 2").fetchall()
        altered = spoiled(body, change)
        assert altered != body
        db.execute("UPDATE batch SET body = ? WHERE sequence = 2", (altered,))

    await sealed.log.writing(work)
