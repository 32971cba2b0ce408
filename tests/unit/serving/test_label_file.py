"""Labels are kept in the order in which they came, once for each prediction, through everything that may happen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from modelog_common.bus.envelope import Poison, Received
from modelog_common.bus.progress import Progress
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import Invalid
from modelog_proto.serving.v1.data_pb2 import OutcomeBatch
from modelog_serving.teaching.intake import LabelIntake
from modelog_serving.teaching.labels import DAY_S, LEARNED, PASSED, WAITS, LabelFile, Place, Told
from modelog_serving.teaching.lesson import Lesson, lesson_of

PLACE = Place("acme", "flights")


def progress(offset: int = 1) -> Progress:
    return Progress("outcomes", 0, "i", offset)


@pytest.fixture
def labels(tmp_path: Path) -> LabelFile:
    return LabelFile(tmp_path / "labels.db", "h")


def add(labels: LabelFile, *ids: str, label: float = 1.0, now_s: float = 0.0) -> None:
    labels.add([(PLACE, [Told(one, label, None) for one in ids])], now_s, progress())


def waiting(labels: LabelFile, now_s: float = 0.0) -> list[str]:
    return [one.prediction_id for one in labels.waiting(PLACE, now_s, 100)]


def test_the_first_label_of_a_prediction_counts(labels: LabelFile) -> None:
    add(labels, "b", "a")
    add(labels, "a", "c", label=0.0)
    assert [(one.prediction_id, one.label) for one in labels.waiting(PLACE, 0, 100)] == [("b", 1), ("a", 1), ("c", 0)]


def test_what_was_learned_waits_no_more_also_if_it_comes_afterwards(labels: LabelFile) -> None:
    add(labels, "a", "b")
    labels.learned(PLACE, "d1", 3, ["a", "late"], 0.0)
    add(labels, "late", "a")
    assert waiting(labels) == ["b"]
    assert labels.step("d1") == 3
    assert labels.count(PLACE) == {WAITS: 1, LEARNED: 2}


def test_labels_without_a_prediction_are_looked_for_less_and_less_often_and_given_up(labels: LabelFile) -> None:
    add(labels, "a")
    labels.put_off(labels.waiting(PLACE, 0.0, 10), 0.0)
    assert waiting(labels, 1.9) == []
    assert waiting(labels, 2.0) == ["a"]
    labels.put_off(labels.waiting(PLACE, 2.0, 10), 2.0)
    assert waiting(labels, 5.9) == []
    labels.put_off(labels.waiting(PLACE, DAY_S, 10), DAY_S)
    assert labels.count(PLACE) == {PASSED: 1}


def test_a_file_of_another_log_begins_again(tmp_path: Path, labels: LabelFile) -> None:
    add(labels, "a")
    labels.close()
    assert waiting(LabelFile(tmp_path / "labels.db", "h")) == ["a"]
    assert waiting(LabelFile(tmp_path / "labels.db", "other")) == []


def received(batch: OutcomeBatch | bytes) -> Received:
    value = batch if isinstance(batch, bytes) else batch.SerializeToString()
    return Received("modelog.acme.outcomes", 0, 0, b"", value, {})


async def test_only_labels_of_deployments_that_learn_are_kept(labels: LabelFile) -> None:
    intake = LabelIntake(labels, lambda tenant, name: (tenant, name) == ("acme", "flights"), SystemClock())
    batches = [
        OutcomeBatch(deployment=name, prediction_ids=["p"], labels=[1.0], amounts=[2.5]) for name in ("flights", "no")
    ]
    await intake.handle([received(batch) for batch in batches], progress())
    (found,) = labels.waiting(PLACE, 1e12, 10)
    assert (found.label, found.amount) == (1.0, 2.5)
    assert labels.count(Place("acme", "no")) == {}


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        (b"\xff", "no OutcomeBatch"),
        (OutcomeBatch(prediction_ids=["a", "b"], labels=[1.0]), "labels has 1 entries; 2 are needed"),
        (OutcomeBatch(prediction_ids=["a"], amounts=[float("nan")]), "amounts holds nan, which is no number"),
        (OutcomeBatch(prediction_ids=["a"]), "neither labels nor amounts"),
        (OutcomeBatch(prediction_ids=[""], labels=[1.0]), "1 to 200 characters are needed"),
    ],
)
async def test_what_holds_no_labels_is_put_aside(labels: LabelFile, batch: OutcomeBatch | bytes, why: str) -> None:
    with pytest.raises(Poison, match=why):
        await LabelIntake(labels, lambda *_: True, SystemClock()).handle([received(batch)], progress())
    assert labels.count(Place("acme", "")) == {}


def test_a_lesson_is_read_back_bit_by_bit() -> None:
    features = np.array([[0.1 + 0.2, np.nan], [-0.0, 1e-300]])
    made = Lesson(
        "flights", "1.0.0", ["a", "b"], ["p", "q"], np.array([1.0, np.nan]), np.array([np.nan, 2.5]), features
    )
    content = made.to_bytes()
    found = lesson_of(content)
    assert found.to_bytes() == content
    assert found.matrix().tobytes() == made.matrix().tobytes()
    assert json.loads(content)["rows"][0] == ["p", 1.0, None, [0.30000000000000004, None]]
    with pytest.raises(Invalid, match="holds no labels"):
        lesson_of(b"{}")
