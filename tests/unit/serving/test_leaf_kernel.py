"""The compiled way to leaves and nodes: the same bytes as the specified one, and no harm by unusual bodies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelog_proofs import group_hash, row_hash
from modelog_proofs.merkle import Frontier
from modelog_proofs.merkle import parents_of as specified_parents
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from modelog_serving.predlog import hashing
from modelog_serving.predlog.answers import Answerer, Answers, to_batch
from modelog_serving.predlog.groups import groups_of
from modelog_serving.predlog.leaves import record_of

numba = pytest.importorskip("numba")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.floats(width=32) | st.floats()


@st.composite
def batches(draw: Any) -> Answers:
    rows, width, outputs = (
        draw(st.integers(1, 6) | st.integers(31, 70)),
        draw(st.integers(0, 3)),
        draw(st.integers(1, 2)),
    )
    answerers = draw(st.lists(st.builds(Answerer, texts, texts), min_size=1, max_size=3))

    def each(of: Any, count: int = rows) -> Any:
        return draw(st.lists(of, min_size=count, max_size=count))

    dtype = draw(st.sampled_from([np.float32, np.float64]))
    with np.errstate(over="ignore"):
        values = np.array(each(numbers, rows * (width + outputs))).astype(dtype).reshape(rows, -1)
    return Answers(
        tenant=draw(texts), deployment=draw(texts), model=draw(texts), ids=each(texts),
        event_times_us=each(st.integers(0, 2**63 - 1)), keys=draw(st.sampled_from([(), each(texts)])),
        answerers=answerers, answered_by=np.array(each(st.integers(0, len(answerers) - 1)), np.uint8),
        feature_names=each(texts, width), features=values[:, :width], outputs=values[:, width:],
    )  # fmt: skip


def specified(batch: PredictionBatch) -> bytes:
    """Of each run of one answerer, and of no more than 32 rows, a leaf."""
    rows, found = range(len(batch.prediction_ids)), []
    for _, alike in groupby(rows, key=batch.answered_by.__getitem__):
        left = [record_of(batch, row) for row in alike]
        while left:
            found.append(group_hash(left[0], [row_hash(each) for each in left[:32]]))
            left = left[32:]
    return b"".join(found)


def compiled(batch: PredictionBatch, body: bytes) -> bytes | None:
    kernel = hashing._kernel()
    assert kernel is not None, "numba is there, and was not used"
    return hashing._compiled_leaves(kernel, batch, body)


@given(batches(), st.integers(-(2**63), 2**63 - 1))
@settings(deadline=None)
def test_leaves_are_the_specified_ones(answers: Answers, answered_at_us: int) -> None:
    batch = to_batch(answers, 7, "log", answered_at_us)
    assert compiled(batch, batch.SerializeToString()) == specified(batch)
    assert b"".join(group.leaf_hash for group in groups_of(batch)) == specified(batch)


@given(st.integers(0, 300), st.integers(0, 300))
@settings(max_examples=50)
def test_nodes_are_the_specified_ones(before: int, added: int) -> None:
    row = np.random.default_rng(before).bytes(32 * (before + added))
    one, other = Frontier(), Frontier()
    for frontier, parents in ((one, hashing.parents_of), (other, specified_parents)):
        frontier.extend_joined(row[: 32 * before], parents)
        frontier.extend_joined(row[32 * before :], parents)
    assert (one.size, one.root()) == (other.size, other.root())


def usual(ids: Sequence[str] = ("one", "two")) -> PredictionBatch:
    rows = len(ids)
    answers = Answers(
        tenant="acme", deployment="flights", model="delays", ids=ids, event_times_us=list(range(rows)), keys=(),
        answerers=[Answerer("1.0.0", "a" * 64)], answered_by=np.zeros(rows, np.uint8), feature_names=["x"],
        features=np.ones((rows, 1), np.float32), outputs=np.ones((rows, 1), np.float32),
    )  # fmt: skip
    return to_batch(answers, 7, "log", 5)


def test_fields_may_stand_in_any_order_and_unknown_ones_are_passed_by() -> None:
    batch = usual()
    body = batch.SerializeToString()
    # Of number 100: a text, a number, and numbers of four and eight bytes.
    for strange in (b"\xa2\x06\x03abc", b"\xa0\x06\x96\x01", b"\xa5\x06abcd", b"\xa1\x06abcdefgh"):
        for altered in (body + strange, strange + body):
            assert compiled(PredictionBatch.FromString(altered), altered) == specified(batch)
    without = replace_times(batch, [])
    later = without.SerializeToString() + b"\x32\x01\x00" + b"\x32\x01\x01"
    assert compiled(PredictionBatch.FromString(later), later) == specified(batch)


def replace_times(batch: PredictionBatch, times: Sequence[int]) -> PredictionBatch:
    other = PredictionBatch.FromString(batch.SerializeToString())
    del other.event_times_us[:]
    other.event_times_us.extend(times)
    return other


def test_what_is_not_usual_is_left_to_the_specified_way() -> None:
    batch = usual()
    negative = replace_times(batch, [1, -1])
    # Each time by itself, as protobuf reads it, too.
    unpacked = replace_times(batch, []).SerializeToString() + b"\x30\x00\x30\x01"
    for other, body in ((negative, negative.SerializeToString()), (batch, unpacked)):
        assert PredictionBatch.FromString(body) == other
        assert compiled(other, body) is None
        assert hashing.leaves_of(other, body) == specified(other)


@given(st.data())
@settings(max_examples=300)
def test_whatever_the_bytes_are_the_kernel_ends(data: Any) -> None:
    body = bytearray(usual().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    found = compiled(usual(), cut)
    assert found is None or len(found) in (32, 64)


def test_without_numba_in_the_process_hashing_is_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = usual()
    monkeypatch.delitem(sys.modules, "numba")
    assert hashing._kernel() is None
    assert hashing.leaves_of(batch, batch.SerializeToString()) == specified(batch)


def test_who_seals_does_not_load_numba_for_it() -> None:
    asked = "import sys, modelog_serving.predlog.seal; print('numba' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_batches_of_different_deployments_are_not_taken_for_each_other() -> None:
    for batch in (usual(), replace_deployment(usual()), usual()):
        assert hashing.leaves_of(batch, batch.SerializeToString()) == specified(batch)


def replace_deployment(batch: PredictionBatch) -> PredictionBatch:
    batch.deployment = "trains"
    return batch
