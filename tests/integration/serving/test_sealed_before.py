"""A prediction log that an earlier release wrote and sealed, with a leaf for each answer: it is proven and goes on.

The files in `golden` were written by that release: three batches of a sealed segment (numbers of both kinds, keys, two
versions, texts), a sealed segment of another tenant, and one that was written down and not told yet.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.ids import uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from modelog_proofs import prediction_hash, verify_inclusion
from modelog_serving.predlog import file
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.segment.decide import segment_id
from test_prediction_log import answers, in_file
from test_sealed_predictions import Sealed

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
async def before(tmp_path: Path) -> AsyncIterator[Sealed]:
    db = sqlite3.connect(tmp_path / "predictions.db")
    db.executescript((GOLDEN / "segments_with_a_leaf_each.sql").read_text())
    db.close()
    clock = ManualClock()
    store = await SqliteEventStore.open(tmp_path / "events.db", clock)
    for told in events():
        of = told["payload"]
        stream = f"serving.predictions-{segment_id(told['tenant'], of['log_id'], of['number'], of['root'])}"
        payload = json.dumps(of).encode()
        new = NewEvent(str(uuid7()), "serving.PredictionsSealed", 1, payload, told["tenant"], "service:serving")
        await store.append(stream, [new])
    made = Sealed(tmp_path, clock, store, await PredictionLog.open(tmp_path / "predictions.db", clock))
    yield made
    await made.log.close()
    await store.close()


def events() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GOLDEN / "segments_with_a_leaf_each.json").read_text())
    return found


async def proven(log: Sealed, prediction_id: str, tenant: str = "acme") -> int:
    """The position of the event that holds it, by a leaf of its own."""
    found = await log.evidence.included(tenant, "flights", prediction_id)
    assert (found.segment.leaves, found.row, found.row_hashes) == (0, 0, [])
    (event,) = [e async for e in log.store.read_all(after=found.segment.position - 1, until=found.segment.position)]
    told = json.loads(event.payload)
    root = bytes.fromhex(told["root"])
    verify_inclusion(prediction_hash(found.prediction), found.leaf_index, told["count"], found.path, root)
    return event.position


async def test_what_was_sealed_with_a_leaf_each_is_proven(before: Sealed) -> None:
    assert [await proven(before, str(n)) for n in range(1, 9)] == [1] * 8
    assert await proven(before, "9", "other") == 2


async def test_a_segment_that_was_written_down_and_not_told_is_told_as_it_was(before: Sealed) -> None:
    await before.sealer.seal_due()
    *_, (event, told) = await before.told()
    assert (event.schema, told["count"], told["leaves"]) == (2, 2, 0)
    assert [await proven(before, each) for each in ("10", "11")] == [event.position] * 2


async def test_the_log_goes_on_with_leaves_of_several(before: Sealed) -> None:
    await in_file(before.log, answers("12", "13"))
    position = await before.proven("12")
    assert await before.proven("13") == position
    *_, (_, told) = await before.told()
    assert (told["number"], told["first"], told["count"], told["leaves"]) == (3, 6, 2, 1)
    assert await proven(before, "5") == 1


async def test_the_file_says_that_an_earlier_release_must_not_read_it(before: Sealed) -> None:
    assert await before.log.reading(lambda db: file.meta(db, "format")) == "6"
