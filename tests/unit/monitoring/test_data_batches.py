"""Batches that contradict themselves become dead letters with the reason; their place in the count is taken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from data_plane import HERE, outcomes, predictions, received, us
from modelog_common.bus.envelope import Poison
from modelog_monitoring.data.batches import WrongBatch, outcome_batch, prediction_batch
from modelog_monitoring.data.ingest import Ingest
from modelog_monitoring.data.store import Batch, Flow, Kind, WindowStore

LABELS = ((0.0, "acme"), (1.0, "other"))


def changed(batch: Any, **fields: Any) -> bytes:
    for name, value in fields.items():
        if isinstance(value, list):
            del getattr(batch, name)[:]
            getattr(batch, name).extend(value)
        else:
            setattr(batch, name, value)
    content: bytes = batch.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"log_id": ""}, "log_id is ''; 1 to 200 characters"),
        ({"sequence": 0}, "sequence is 0; sequences count from 1"),
        ({"deployment": "x" * 201}, "deployment is"),
        ({"event_times_us": [us(1)]}, "event_times_us has 1 entries; 2 are needed"),
        ({"answered_by": b"\0"}, "answered_by has 1 entries; 2 are needed"),
        ({"answered_by": b"\0\7"}, "answered_by names answerer 7 of 1"),
        ({"features": b"\0" * 12}, "features has 12 bytes; 16 are needed"),
        ({"feature_names": ["hour", "hour"]}, "feature_names names a feature twice"),
        ({"outputs": b"\0" * 6}, "outputs has 6 bytes; a multiple of 2 rows of float32"),
        ({"outputs": b""}, "outputs has 0 bytes"),
        ({"prediction_ids": ["a", ""]}, "prediction_ids[1] is ''"),
        ({"event_times_us": [us(1), -5]}, "event_times_us holds -5"),
        ({"event_times_us": [us(1), 2**62]}, "event_times_us holds 4611686018427387904"),
        ({"watermark_us": -1}, "watermark_us is -1"),
    ],
)
def test_wrong_predictions(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(WrongBatch) as wrong:
        prediction_batch(changed(predictions(["a", "b"], [1, 2]), **fields), "acme")
    assert reason in str(wrong.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"producer": ""}, "producer is ''"),
        ({"sequence": -3}, "sequence is -3"),
        ({"deployment": ""}, "deployment is ''"),
        ({"labels": [1.0]}, "labels has 1 entries; 2 are needed"),
        ({"labels": [1.0, 0.5]}, "labels holds 0.5; labels are 0 or 1"),
        ({"labels": [1.0, float("nan")]}, "labels holds nan"),
        ({"labels": []}, "labels has 0 entries; 2 are needed"),
        ({"amounts": [1.0]}, "amounts has 1 entries; 2 are needed"),
        ({"amounts": [1.0, float("nan")]}, "amounts holds nan; amounts are numbers from -1e+100 to 1e+100"),
        ({"amounts": [float("-inf"), 1.0]}, "amounts holds -inf"),
        ({"amounts": [1e101, 1.0]}, "amounts holds 1e+101"),
        ({"event_times_us": []}, "event_times_us has 0 entries"),
        ({"prediction_ids": ["a", "b" * 201]}, "prediction_ids[1]"),
        ({"watermark_us": -1}, "watermark_us is -1"),
    ],
)
def test_wrong_outcomes(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(WrongBatch) as wrong:
        outcome_batch(changed(outcomes(["a", "b"], [0, 1], [1, 2]), **fields))
    assert reason in str(wrong.value)


def test_outcomes_are_labels_amounts_or_both() -> None:
    for labels, amounts in (([0, 1], []), ([], [12.5, -3]), ([0, 1], [12.5, -3])):
        batch = outcome_batch(outcomes(["a", "b"], labels, [1, 2], amounts=amounts).SerializeToString())
        assert (list(batch.labels), list(batch.amounts)) == (labels, amounts)


def test_bytes_that_are_no_message() -> None:
    with pytest.raises(WrongBatch, match="not a PredictionBatch"):
        prediction_batch(b"\xff\xff", "acme")
    with pytest.raises(WrongBatch, match="not an OutcomeBatch"):
        outcome_batch(b"\xff\xff")


def test_a_batch_without_rows_may_carry_a_watermark() -> None:
    assert prediction_batch(predictions([], [], watermark=5).SerializeToString(), "acme").watermark_us == us(5)
    last = outcomes([], [], [])
    last.watermark_us = 2**63 - 1
    assert outcome_batch(last.SerializeToString()).watermark_us == 2**63 - 1


async def test_a_wrong_batch_is_refused_and_the_others_are_stored(store: WindowStore) -> None:
    told: list[str] = []
    ingest = Ingest(store, lambda: told.append("new"))
    wrong = outcomes(["b"], [7], [2], sequence=2)
    good = [outcomes(["a"], [0], [1], sequence=1), outcomes(["c"], [1], [3], sequence=3)]
    batch = [received(good[0], 1), received(wrong, 2), received(good[1], 3)]
    with pytest.raises(Poison, match=r"labels holds 7\.0") as poison:
        await ingest.handle(batch, HERE)
    assert poison.value.message.offset == 2
    assert store.rows(Flow(Kind.OUTCOMES, "flights", "acme")) == 0
    await ingest.handle([batch[0], batch[2]], HERE)
    assert store.sequence(Kind.OUTCOMES, "acme/airport") == 3
    assert store.rows(Flow(Kind.OUTCOMES, "flights", "acme")) == 2
    assert told == ["new"]
    await ingest.handle([batch[0], batch[2]], HERE)
    assert told == ["new"]


async def test_bytes_of_nobody_take_no_place(store: WindowStore) -> None:
    ingest = Ingest(store)
    with pytest.raises(Poison, match="not a PredictionBatch"):
        await ingest.handle([received(b"\xff\xff")], HERE)
    await ingest.handle([received(predictions(["a"], [1]))], HERE)
    assert store.sequence(Kind.PREDICTIONS, "log") == 1


async def test_a_tenants_outcomes_are_neither_joined_nor_counted_with_anothers(store: WindowStore) -> None:
    """Both call their producer, their deployment and their predictions the same."""
    ingest = Ingest(store)
    mine, theirs = (received(outcomes(["a"], [label], [1]), topic=f"modelog.{t}.outcomes") for label, t in LABELS)
    await ingest.handle([mine], HERE)
    assert store.rows(Flow(Kind.OUTCOMES, "flights", "other")) == 0
    await ingest.handle([theirs], HERE)
    for label, tenant in LABELS:
        assert store.sequence(Kind.OUTCOMES, f"{tenant}/airport") == 1
        (message,) = store.messages(Flow(Kind.OUTCOMES, "flights", tenant), 0, us(9))
        assert list(outcome_batch(message).labels) == [label]


async def test_predictions_of_another_tenant_than_the_topics_are_refused(store: WindowStore) -> None:
    with pytest.raises(Poison, match="tenant is 'acme'; the topic is that of 'other'"):
        await Ingest(store).handle([received(predictions(["a"], [1]), topic="modelog.other.predictions")], HERE)


async def test_a_replayed_batch_fills_the_place_that_was_kept_for_it(store: WindowStore) -> None:
    """Its cause was in the platform: the same bytes, refused by an older release, are good now."""
    ingest = Ingest(store)
    store.add([Batch(Kind.OUTCOMES, "acme/airport", 1)], HERE)
    await ingest.handle([received(outcomes(["b"], [1], [2], sequence=2))], HERE)
    again = msgspec.structs.replace(received(outcomes(["a"], [0], [1], sequence=1)), replayed=True)
    for _ in range(2):
        await ingest.handle([again], HERE)
    flow = Flow(Kind.OUTCOMES, "flights", "acme")
    assert (store.rows(flow), store.sequence(Kind.OUTCOMES, "acme/airport")) == (2, 2)
    assert len(store.messages(flow, 0, us(9))) == 2
