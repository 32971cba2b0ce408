"""The engine: models are loaded once, checked and dropped."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xgboost
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.runtimes.xgboost_runtime import XGBoostRuntime
from serving_rig import COLUMNS, answers_of, model_file

SIGNATURE = Signature(
    (TensorSpec("features", "FP32", (-1, 4), COLUMNS),),
    (TensorSpec("late", "FP32", (-1,)),),
)
ROWS = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)


class Files:
    """Model files in memory; counts how often each is fetched."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {hashlib.sha256(content).hexdigest(): content for content in contents}
        self.fetched: list[str] = []

    async def fetch(self, digest: str) -> bytes:
        self.fetched.append(digest)
        await asyncio.sleep(0)
        if digest not in self.contents:
            raise NotFound(f"there is no blob {digest}")
        return self.contents[digest]


def ref(content: bytes, signature: Signature = SIGNATURE, flavor: str = "xgboost") -> ModelRef:
    return ModelRef(hashlib.sha256(content).hexdigest(), flavor, signature)


async def test_a_model_is_fetched_once_for_many() -> None:
    files = Files(model_file(0))
    models = Models(files, LazyRuntimes(), 2)
    wanted = ref(model_file(0))
    assert models.loaded(wanted) is None
    found = await asyncio.gather(*(models.get(wanted) for _ in range(5)))
    assert all(model is found[0] for model in found)
    assert len(files.fetched) == 1
    assert np.allclose(found[0].predict(ROWS)[:, 0], answers_of(model_file(0), ROWS))
    await models.close()


async def test_the_longest_unused_model_is_dropped_unless_traffic_needs_it() -> None:
    contents = [model_file(seed) for seed in range(4)]
    models = Models(Files(*contents), LazyRuntimes(), 2)
    refs = [ref(content) for content in contents]
    models.keep(lambda: [refs[0].digest])
    for each in (refs[0], refs[1], refs[2]):
        await models.get(each)
    assert models.loaded(refs[1]) is not None
    await models.get(refs[3])
    assert [models.loaded(each) is not None for each in refs] == [True, True, False, True]


async def test_what_is_wrong_with_a_model_is_told_and_remembered() -> None:
    files = Files(model_file(0), b"{}")
    models = Models(files, LazyRuntimes(), 2)
    with pytest.raises(NotFound):
        await models.get(ref(b"nowhere"))
    assert "there is no blob" in models.error(ref(b"nowhere").digest)
    with pytest.raises(NotAllowed, match="not an XGBoost model in UBJSON or JSON"):
        await models.get(ref(b"{}"))
    two = Signature(SIGNATURE.inputs, (TensorSpec("late", "FP32", (-1, 2)),))
    with pytest.raises(NotAllowed, match="answers a row with 1 numbers, its signature says 2"):
        await models.get(ref(model_file(0), two))
    files.contents[ref(model_file(0)).digest] = model_file(1)
    with pytest.raises(NotAllowed, match="was damaged or replaced"):
        await models.get(ref(model_file(0)))
    files.contents[ref(model_file(0)).digest] = model_file(0)
    await models.get(ref(model_file(0)))
    assert models.error(ref(model_file(0)).digest) == ""


async def test_a_caller_who_gives_up_does_not_take_the_model_from_others() -> None:
    models = Models(Files(model_file(0)), LazyRuntimes(), 2)
    first = asyncio.create_task(models.get(ref(model_file(0))))
    second = asyncio.create_task(models.get(ref(model_file(0))))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is models.loaded(ref(model_file(0)))


async def test_a_model_without_column_names_takes_the_signature_s() -> None:
    plain = Signature((TensorSpec("x", "FP32", (-1, 4)),), SIGNATURE.outputs)
    model = XGBoostRuntime(threads=2).load(model_file(0), plain, False)
    assert model.predict(ROWS).shape == (50, 1)


def test_threads_do_not_disturb_each_other_s_predictions() -> None:
    model = XGBoostRuntime().load(model_file(0, 50), SIGNATURE, False)
    parts = [ROWS[n : n + 1 + n % 7] for n in range(40)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(model.predict, parts * 5))
    for part, answer in zip(parts * 5, answers, strict=True):
        assert np.allclose(answer[:, 0], answers_of(model_file(0, 50), part))


def test_a_model_of_several_classes_answers_a_row_with_several_numbers() -> None:
    draw = np.random.default_rng(0)
    data = xgboost.DMatrix(ROWS, draw.integers(0, 3, 50), feature_names=list(COLUMNS))
    content = bytes(xgboost.train({"objective": "multi:softprob", "num_class": 3}, data, 2).save_raw("json"))
    three = Signature(SIGNATURE.inputs, (TensorSpec("class", "FP32", (-1, 3)),))
    answers = XGBoostRuntime().load(content, three, False).predict(ROWS[:4, :].copy())
    assert answers.shape == (4, 3)
    assert np.allclose(answers.sum(axis=1), 1)
