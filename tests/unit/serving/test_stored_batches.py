"""A batch is stored in the bytes that protobuf itself writes, whichever way they are made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_serving.predlog import stored as module
from modelog_serving.predlog.answers import Answerer, Answers, Source, to_batch
from modelog_serving.predlog.stored import stored
from msgspec import structs

TEXTS = st.text(st.characters(codec="utf-8"), max_size=150)
ASCII = st.text(st.characters(codec="ascii"), max_size=130)
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)


def answers(ids: list[str], keys: list[str], times: list[int], features: int = 3, outputs: int = 1) -> Answers:
    rows = len(ids)
    return Answers(
        tenant="acme",
        deployment="flights",
        model="flight-delay",
        ids=ids,
        event_times_us=times,
        keys=keys,
        answerers=[Answerer("1.0.0", "ab" * 32), Answerer("1.1.0", "cd" * 32)],
        answered_by=(np.arange(rows) % 2).astype(np.uint8),
        feature_names=[f"f{n}" for n in range(features)],
        features=np.arange(rows * features, dtype=np.float32).reshape(rows, features),
        outputs=np.full((rows, outputs), np.nan, np.float32),
    )


def check(some: Answers) -> None:
    assert (
        stored(some, 7, "log", 1_700_000_000_000_000)
        == to_batch(some, 7, "log", 1_700_000_000_000_000).SerializeToString()
    )


@given(st.lists(st.tuples(st.one_of(ASCII, TEXTS), st.one_of(ASCII, TEXTS), TIMES), max_size=40), st.booleans())
def test_the_bytes_are_protobufs(rows: list[tuple[str, str, int]], keyed: bool) -> None:
    check(answers([row[0] for row in rows], [row[1] for row in rows] if keyed else [], [row[2] for row in rows]))


@pytest.mark.parametrize("rows", [0, 1, 32, 4096])
def test_what_serving_makes_is_not_left_to_protobuf(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"01a21950-118e-7747-896e-6e2fbd{n // 32:06d}.{n % 32}" for n in range(rows)]
    some = answers(ids, [text[:36] for text in ids], [1_700_000_000_000_000 + n // 32 for n in range(rows)], 20)
    expected = to_batch(some, 7, "log", 9).SerializeToString()

    def unexpected(*_: object) -> None:
        pytest.fail("protobuf was asked")

    monkeypatch.setattr(module, "to_batch", unexpected)
    assert stored(some, 7, "log", 9) == expected


def test_sources_and_rows_of_doubles_and_of_texts() -> None:
    some = answers(["a", "b"], ["k", "k"], [1, 2])
    check(structs.replace(some, source=Source("producer", 5), watermark_us=3))
    check(structs.replace(some, features=np.array([[0.1], [2.0]]), feature_names=["f0"]))
    check(structs.replace(some, outputs=np.array([["late"], [None]], object)))
    check(structs.replace(some, sealed=True))
    check(structs.replace(some, features=np.asfortranarray(some.features)))
    check(structs.replace(some, features=np.empty((2, 0), np.float32), feature_names=[]))


def test_what_answers_have_is_looked_at_here() -> None:
    """A field that is new must be written by both ways, and be in the cases above."""
    assert {field.name for field in structs.fields(Answers)} == {
        "tenant", "deployment", "model", "ids", "event_times_us", "keys", "answerers", "answered_by", "feature_names",
        "features", "outputs", "given_ids", "source", "watermark_us", "sealed",
    }  # fmt: skip
