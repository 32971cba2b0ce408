"""Models made of others answer with what their members answer, put together; their file pins the members' files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import pytest
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.composite import Manifest, Member
from modelog_serving.engine.failed import ModelDied
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker.limits import Limits

cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROWS = np.random.default_rng(2).normal(size=(30, 3))
SIGNATURE = Signature((TensorSpec("x", "FP64", (-1, 3)),), (TensorSpec("delay", "FP64", (-1,)),))
LABEL = (TensorSpec("label", "INT64", (-1,)),)


class Kept:
    """The files that are there."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def add(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.contents[digest] = content
        return digest

    async def fetch(self, digest: str) -> bytes:
        if digest not in self.contents:
            raise NotFound(f"there is no file {digest}")
        return self.contents[digest]

    def member(self, function: Any, inputs: tuple[str, ...] = (), outputs: Any = None, weight: float = 1.0) -> Member:
        names = inputs or tuple(f"x[{n}]" for n in range(3))
        takes = tuple(TensorSpec(name, "FP64", (-1, 1)) for name in names)
        signature = Signature(takes, outputs or SIGNATURE.outputs)
        number = f"1.{len(self.contents)}.0"
        return Member("part", number, self.add(cloudpickle.dumps(function)), "python_function", signature, weight)

    def ref(self, flavor: str, *members: Member, signature: Signature = SIGNATURE, **more: Any) -> ModelRef:
        digest = self.add(msgspec.json.encode(Manifest(members, **more)))
        return ModelRef(digest, flavor, signature, approved=True)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def models(kept: Kept) -> Models:
    return Models(kept, LazyRuntimes(), 8)


async def test_an_ensemble_answers_with_the_weighted_mean(kept: Kept, models: Models) -> None:
    """A member takes the columns that it names, in its own order."""
    one = kept.member(lambda rows: rows.sum(axis=1), weight=3.0)
    other = kept.member(lambda rows: rows[:, 0] * 10 + rows[:, 1], ("x[2]", "x[0]"))
    model = await models.get(kept.ref("ensemble", one, other))
    expected = (3 * ROWS.sum(axis=1) + ROWS[:, 2] * 10 + ROWS[:, 0]) / 4
    np.testing.assert_allclose(model.predict(ROWS), expected.reshape(-1, 1), rtol=1e-13)


async def test_an_ensemble_of_labels_votes(kept: Kept, models: Models) -> None:
    members = [
        kept.member(lambda rows, n=n: np.full(len(rows), n), outputs=LABEL, weight=weight)
        for n, weight in ((7, 0.1), (5, 0.2), (9, 0.3))
    ]
    signature = Signature(SIGNATURE.inputs, LABEL)
    model = await models.get(kept.ref("ensemble", *members, signature=signature, combine="vote"))
    np.testing.assert_array_equal(model.predict(ROWS[:2]), [[9], [9]])
    # 0.1 + 0.2 is as much as 0.3, however it is added up; of equals the smallest label answers.
    model = await models.get(kept.ref("ensemble", *members, members[0], signature=signature, combine="vote"))
    tied = [members[0], msgspec.structs.replace(members[1], weight=0.1 + 0.2), members[2]]
    model = await models.get(kept.ref("ensemble", *tied, signature=signature, combine="vote"))
    np.testing.assert_array_equal(model.predict(ROWS[:2]), [[5], [5]])


async def test_a_chain_feeds_answers_to_the_next_step_by_name(kept: Kept, models: Models) -> None:
    first = kept.member(lambda rows: rows * 2, ("x[1]",), (TensorSpec("doubled", "FP64", (-1,)),))
    second = kept.member(lambda rows: np.column_stack([rows[:, 0] + rows[:, 1], rows[:, 1]]), ("x[0]", "doubled"),
                         (TensorSpec("pair", "FP64", (-1, 2), ("sum", "same")),))  # fmt: skip
    third = kept.member(lambda rows: rows[:, 0] * rows[:, 1] * rows[:, 2], ("sum", "same", "x[2]"))
    model = await models.get(kept.ref("chain", first, second, third))
    doubled = ROWS[:, 1] * 2
    expected = (ROWS[:, 0] + doubled) * doubled * ROWS[:, 2]
    np.testing.assert_allclose(model.predict(ROWS), expected.reshape(-1, 1), rtol=1e-13)


async def test_what_does_not_fit_together_is_refused_in_words(kept: Kept, models: Models) -> None:
    sum_of = kept.member(lambda rows: rows.sum(axis=1))
    for ref, why in (
        (kept.ref("chain", sum_of, kept.member(lambda rows: rows, ("late",))), "part 1.[0-9].0, which takes 'late'"),
        (kept.ref("ensemble", kept.member(lambda rows: rows[:, :2], outputs=(TensorSpec("y", "FP64", (-1, 2)),))),
         "answers with 2 numbers; the signature says 1"),
        (kept.ref("ensemble", sum_of, combine="vote"), "does not answer with one label"),
        (kept.ref("ensemble", kept.member(lambda rows: np.ones(len(rows), int), outputs=LABEL)), "mean of the labels"),
        (kept.ref("ensemble", msgspec.structs.replace(sum_of, weight=0.0)), "its weight is 0.0"),
        (kept.ref("ensemble", msgspec.structs.replace(sum_of, flavor="chain")), "it is a chain itself"),
        (kept.ref("ensemble", msgspec.structs.replace(sum_of, flavor="caret")), "its member part 1.0.0: models of fla"),
        (kept.ref("ensemble"), "names 0 members; 1 to 64 are allowed"),
        (ModelRef(kept.add(b"{"), "chain", SIGNATURE), "does not name the members of an ensemble or chain"),
    ):  # fmt: skip
        with pytest.raises(NotAllowed, match=why):
            await models.get(ref)


async def test_a_member_s_file_that_is_missing_or_was_replaced_is_refused(kept: Kept, models: Models) -> None:
    member = kept.member(lambda rows: rows.sum(axis=1))
    content = kept.contents.pop(member.digest)
    with pytest.raises(NotFound, match="there is no file"):
        await models.get(kept.ref("ensemble", member))
    kept.contents[member.digest] = content + b"!"
    with pytest.raises(NotAllowed, match="the stored file was damaged or replaced"):
        await models.get(kept.ref("ensemble", member))


async def test_nothing_of_a_member_runs_before_the_whole_is_approved(kept: Kept, models: Models) -> None:
    ref = kept.ref("ensemble", kept.member(lambda rows: rows.sum(axis=1)))
    with pytest.raises(NotAllowed, match="its member part 1.0.0: .*have the version approved by somebody else"):
        await models.get(ModelRef(ref.digest, ref.flavor, ref.signature, approved=False))


async def test_a_member_that_dies_is_told_of_the_whole_too_and_makes_no_other_wait(kept: Kept) -> None:
    models, told = Models(kept, LazyRuntimes(1, Limits()), 8), list[tuple[str, str]]()
    models.tell(lambda digest, cause, _text: told.append((digest, cause)))
    member = kept.member(lambda rows: os._exit(1) if rows.max() > 100 else rows.sum(axis=1))
    ref = kept.ref("ensemble", member)
    model, shared = await models.get(ref), Batcher()
    assert batcher_of(model, shared) is not shared
    with pytest.raises(ModelDied):
        await asyncio.wait_for(batcher_of(model, shared).predict(model, ROWS + 1000), 150)
    assert sorted(told) == sorted([(member.digest, "died"), (ref.digest, "died")])
    answered = await asyncio.wait_for(batcher_of(model, shared).predict(model, ROWS), 150)
    np.testing.assert_allclose(answered, ROWS.sum(axis=1, keepdims=True))


NOTE = (TensorSpec("note", "BYTES", (-1,)),)


def of_texts(kept: Kept, function: Any, outputs: Any, **more: Any) -> Member:
    member = kept.member(function, outputs=outputs, **more)
    return msgspec.structs.replace(member, signature=Signature(NOTE, outputs))


def texts(*cells: str) -> np.ndarray[Any, Any]:
    return np.array([[cell] for cell in cells], object)


async def test_a_chain_makes_numbers_of_a_text_and_a_text_of_numbers(kept: Kept, models: Models) -> None:
    """A step of numbers is given numbers only, though the request is a text."""
    pair = (TensorSpec("pair", "FP64", (-1, 2), ("length", "spaces")),)
    word = (TensorSpec("word", "BYTES", (-1,)),)
    first = of_texts(kept, lambda rows: np.array([[len(t), t.count(" ")] for t in rows[:, 0]], np.float64), pair)
    second = kept.member(lambda rows: rows @ np.array([1.0, 10.0]), ("length", "spaces"))
    last = kept.member(lambda rows: [f"{n:g}" for n in rows[:, 0]], ("delay",), word)
    asked = texts("a b c", "late")
    numbers = Signature(NOTE, SIGNATURE.outputs)
    model = await models.get(kept.ref("chain", first, second, signature=numbers))
    np.testing.assert_array_equal(model.predict(asked), [[25.0], [4.0]])
    model = await models.get(kept.ref("chain", first, second, last, signature=Signature(NOTE, word)))
    assert model.predict(asked).tolist() == [["25"], ["4"]]
    with pytest.raises(NotAllowed, match="answers with texts where the signature has none"):
        await models.get(kept.ref("chain", first, second, last, signature=numbers))


async def test_an_ensemble_of_texts_votes_and_has_no_mean(kept: Kept, models: Models) -> None:
    word = (TensorSpec("word", "BYTES", (-1,)),)
    members = [
        of_texts(kept, lambda rows, w=w: [w] * len(rows), word, weight=weight)
        for w, weight in (("late", 1.0), ("on time", 0.7), ("late", 0.2), ("cancelled", 1.1))
    ]
    signature = Signature(NOTE, word)
    model = await models.get(kept.ref("ensemble", *members, signature=signature, combine="vote"))
    assert model.predict(texts("a", "b")).tolist() == [["late"], ["late"]]
    with pytest.raises(NotAllowed, match="takes the mean of the labels 'word'"):
        await models.get(kept.ref("ensemble", *members, signature=signature))
