"""Explanations add up: contributions and base are the margin of trees, and the answer of every other model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from modelog_common.domain.errors import Invalid
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.batcher import Batcher
from modelog_serving.engine.explain import Explanation, Wanted, explained
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.oip.explaining import wanted_of
from modelog_serving.runtimes.find import LazyRuntimes

FEATURES = 8
ROWS = np.random.default_rng(6).normal(size=(70, FEATURES)).astype(np.float32)
ROWS[::5, 2] = np.nan
INPUTS = (TensorSpec("x", "FP32", (-1, FEATURES)),)


@dataclass(frozen=True)
class Plain:
    """A model that is a function."""

    function: Callable[[Any], Any]

    def predict(self, rows: Matrix) -> Matrix:
        found: Matrix = self.function(rows)
        return found.reshape(len(rows), -1)


async def explain(model: Model, rows: Matrix, **wanted: Any) -> Explanation:
    batcher = Batcher()
    try:
        return await explained(model, rows, Wanted(**wanted), batcher.predict_alone)
    finally:
        await batcher.close()


def sums(found: Explanation) -> np.ndarray[Any, Any]:
    return found.contributions.sum(axis=2) + found.base


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "reg:squarederror"])
async def test_contributions_of_xgboost_add_up_to_the_margin(objective: str) -> None:
    classes = {"num_class": 3} if objective.startswith("multi") else {}
    data = xgboost.DMatrix(ROWS, np.arange(len(ROWS)) % (3 if classes else 2))
    booster = xgboost.train({"objective": objective, "max_depth": 3, "nthread": 1, **classes}, data, 6)
    signature = Signature(INPUTS, (TensorSpec("y", "FP32", (-1, 3 if classes else 1)),))
    model = LazyRuntimes().of("xgboost").load(bytes(booster.save_raw("ubj")), signature, False)
    found = await explain(model, ROWS)
    assert (found.method, found.of) == ("tree_shap", "margin")
    margin = booster.predict(data, output_margin=True).reshape(len(ROWS), -1)
    np.testing.assert_allclose(sums(found), margin, rtol=1e-4, atol=1e-5)
    own = booster.predict(data, pred_contribs=True).reshape(len(ROWS), -1, FEATURES + 1)
    np.testing.assert_allclose(found.contributions, own[:, :, :-1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("objective", ["binary", "multiclass"])
async def test_contributions_of_lightgbm_add_up_to_the_margin(objective: str) -> None:
    classes = {"num_class": 3} if objective == "multiclass" else {}
    data = lightgbm.Dataset(ROWS, np.arange(len(ROWS)) % (3 if classes else 2))
    parameters = {"objective": objective, "num_threads": 1, "verbosity": -1, "num_leaves": 5, **classes}
    booster = lightgbm.train(parameters, data, 5)
    signature = Signature(INPUTS, (TensorSpec("y", "FP64", (-1, 3 if classes else 1)),))
    model = LazyRuntimes().of("lightgbm").load(booster.model_to_string().encode(), signature, False)
    found = await explain(model, ROWS)
    margin = booster.predict(ROWS, raw_score=True).reshape(len(ROWS), -1)
    np.testing.assert_allclose(sums(found), margin, rtol=1e-9, atol=1e-9)


def uneven(rows: Any) -> Any:
    """Two outputs, with features that matter together."""
    known = np.nan_to_num(rows.astype(np.float64))
    together = known[:, 0] * known[:, 1] * known[:, 3]
    return np.column_stack([together + known[:, 2], np.maximum(known[:, 0], known[:, 3]) - known[:, 4]])


async def test_sampled_contributions_add_up_to_the_answer_and_say_their_error() -> None:
    model, baseline = Plain(uneven), tuple(float(n) for n in range(FEATURES))
    found = await explain(model, ROWS[:6], samples=200, seed=4, baseline=baseline)
    assert (found.method, found.of, found.samples) == ("sampled_shapley", "output", 200)
    np.testing.assert_allclose(sums(found), uneven(ROWS[:6]), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.base, np.repeat(uneven(np.array([baseline])), 6, axis=0))
    assert found.error is not None
    # What only adds is known exactly; what matters together is as far off as the error says.
    assert found.error[:, 0, 2].max() < 1e-12
    true = np.stack([exact(uneven, row, np.array(baseline)) for row in ROWS[:6]])
    assert (np.abs(found.contributions - true) <= 5 * found.error + 1e-9).all()


def exact(function: Any, row: Any, baseline: Any) -> np.ndarray[Any, Any]:
    """Over all orders of the first five features: no other matters."""
    total = np.zeros((2, FEATURES))
    orders = list(permutations(range(5)))
    for order in orders:
        now = np.where(np.arange(FEATURES) < 5, baseline, row)
        before = function(now[None])[0]
        for feature in order:
            now[feature] = row[feature]
            after = function(now[None])[0]
            total[:, feature] += after - before
            before = after
    return total / len(orders)


async def test_the_same_seed_gives_the_same_contributions() -> None:
    asked, baseline = ROWS[:2], (1.0,) * FEATURES
    one, same, other = [
        await explain(Plain(uneven), asked, samples=8, seed=seed, baseline=baseline) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(one.contributions, same.contributions)
    assert (one.contributions != other.contributions).any()


async def test_few_features_are_explained_in_all_their_orders() -> None:
    model = Plain(lambda rows: rows[:, 0] * rows[:, 1])
    found = await explain(model, np.array([[3.0, 4.0]]), baseline=(1.0, 1.0))
    assert (found.method, found.samples) == ("exact_shapley", 2)
    np.testing.assert_allclose(found.contributions, [[[(2 * 1 + 2 * 4) / 2, (3 * 1 + 3 * 3) / 2]]])
    np.testing.assert_allclose(found.base, [[1.0]])


async def test_what_would_take_too_long_is_refused_with_what_helps() -> None:
    with pytest.raises(Invalid, match="takes 1152000 answers of the model for 64 rows of 8 features and 2000 samples"):
        await explain(Plain(uneven), ROWS[:64], samples=2000)
    with pytest.raises(Invalid, match="have 1400 rows; at most 1000 are explained in one request"):
        await explain(Plain(uneven), np.tile(ROWS, (20, 1)))
    with pytest.raises(Invalid, match="explain_baseline: has 2 numbers; one for each of 8 features is needed"):
        await explain(Plain(uneven), ROWS[:1], baseline=(1.0, 2.0))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("lime", 0, 0, ""), "parameters.explain: 'lime' is not known; it must be 'shap'"),
        (("shap", -1, 0, ""), "parameters.explain_samples: is -1; it must be from 1 to 10000"),
        (("shap", 0, -1, ""), "parameters.explain_seed: is -1; it must not be negative"),
        (("shap", 0, 0, "1,x"), "parameters.explain_baseline: '1,x' must be finite numbers or nan"),
        (("", 5, 0, ""), "parameters.explain_samples: is given without explain"),
    ],
)
def test_parameters_that_make_no_sense_are_named(asked: tuple[str, int, int, str], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        wanted_of(*asked)
