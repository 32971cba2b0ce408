"""Compiled trees answer as XGBoost does, to the last bit or nearly so; what cannot be proven stays with the library."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import xgboost
from modelog_common.domain.errors import Invalid
from modelog_serving.engine.runtime import Quick
from modelog_serving.runtimes import xgboost_compiled
from modelog_serving.runtimes.xgboost_compiled import CompiledTrees, fastest, sample
from modelog_serving.runtimes.xgboost_library import Booster
from modelog_serving.runtimes.xgboost_trees import DoesNotFit, trees_of
from structlog.testing import capture_logs

pytestmark = pytest.mark.usefixtures("every_level")
WIDTH = 7
DRAW = np.random.default_rng(3)
ROWS = DRAW.normal(size=(500, WIDTH)).astype(np.float32)
ROWS[DRAW.random(ROWS.shape) < 0.15] = np.nan
CLEAN = np.nan_to_num(ROWS)
LABELS = (CLEAN[:, 0] * CLEAN[:, 1] > 0).astype(int)
THREE = LABELS + (CLEAN[:, 2] > 0)
AMOUNTS = 100 * CLEAN[:, 0] + CLEAN[:, 3]


@cache
def trained(objective: str, depth: int = 5, **settings: Any) -> xgboost.Booster:
    labels = AMOUNTS if "squared" in objective else THREE if "multi" in objective else LABELS + 0.25
    if objective.startswith(("binary", "reg:logistic")):
        labels = LABELS
    given = {"objective": objective, "max_depth": depth, "nthread": 1, **settings}
    return xgboost.train(given, xgboost.DMatrix(ROWS, labels), 20)


def loaded(model: xgboost.Booster) -> Booster:
    return Booster(bytes(model.save_raw("ubj")), 1)


@pytest.mark.parametrize(
    ("objective", "settings"),
    [
        ("binary:logistic", {}),
        ("binary:logistic", {"num_parallel_tree": 3, "subsample": 0.5}),
        ("binary:logitraw", {}),
        ("reg:squarederror", {"base_score": 3.5}),
        ("reg:squarederror", {"tree_method": "exact", "depth": 9}),
        ("count:poisson", {}),
        ("reg:gamma", {}),
        ("multi:softprob", {"num_class": 3}),
        ("binary:logistic", {"grow_policy": "lossguide", "max_leaves": 9, "depth": 0}),
    ],
)
def test_compiled_trees_answer_as_the_library_does(objective: str, settings: dict[str, Any]) -> None:
    booster = loaded(trained(objective, **settings))
    compiled = fastest(booster)
    assert isinstance(compiled, CompiledTrees)
    # Eight rows go together, in one of two ways: those that miss values, and those that do not.
    half = np.concatenate([CLEAN[:12], ROWS[12:24], CLEAN[24:29]])
    some = [of[:count] for of in (ROWS, CLEAN) for count in (1, 2, 6, 7, 8, 9, 17, 500)]
    for rows in (*some, half, sample(trees_of(booster.document()), WIDTH)):
        np.testing.assert_allclose(compiled.predict(rows), booster.predict(rows), rtol=1e-6, atol=1e-6)
    assert isinstance(compiled, Quick)
    assert compiled.rows_per_ms >= 1


def test_the_proof_looks_at_rows_that_miss_values_and_at_rows_that_do_not() -> None:
    rows = sample(trees_of(loaded(trained("binary:logistic")).document()), WIDTH)
    half = len(rows) // 2
    assert np.isnan(rows[:half]).any()
    assert not np.isnan(rows[half:]).any()


def test_rows_of_doubles_and_of_other_orders_are_taken() -> None:
    compiled, booster = fastest(loaded(trained("binary:logistic"))), loaded(trained("binary:logistic"))
    expected = booster.predict(ROWS)
    np.testing.assert_allclose(compiled.predict(ROWS.astype(np.float64)), expected, rtol=1e-6)
    np.testing.assert_allclose(compiled.predict(np.asfortranarray(ROWS)), expected, rtol=1e-6)
    with pytest.raises(Invalid, match="the model takes 7 features"):
        compiled.predict(ROWS[:, :5].copy())


@pytest.mark.parametrize(
    ("why", "settings"),
    [
        ("its booster is dart", {"booster": "dart"}),
        ("its booster is gblinear", {"booster": "gblinear"}),
        ("it has a tree deeper than 10", {"depth": 0, "min_child_weight": 0, "reg_lambda": 0}),
    ],
)
def test_what_the_layout_has_no_place_for_stays_with_the_library(why: str, settings: dict[str, Any]) -> None:
    booster = loaded(trained("reg:squarederror", **settings))
    with capture_logs() as logs:
        assert fastest(booster) is booster
    assert [(entry["event"], entry["why"]) for entry in logs] == [("xgboost's own engine answers", why)]


def test_other_objectives_stay_with_the_library() -> None:
    with pytest.raises(DoesNotFit, match="its objective is binary:hinge"):
        trees_of(loaded(trained("binary:hinge")).document())


def test_trees_that_answer_otherwise_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    booster = loaded(trained("binary:logistic"))
    document = json.loads(booster.document())
    tree = document["learner"]["gradient_booster"]["model"]["trees"][3]
    tree["default_left"] = [1 - way for way in tree["default_left"]]
    other = trees_of(json.dumps(document).encode())
    monkeypatch.setattr(xgboost_compiled, "trees_of", lambda _: other)
    with capture_logs() as logs:
        assert fastest(booster) is booster
    assert "differ from the library" in logs[0]["why"]


def test_without_numba_the_library_answers_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xgboost_compiled, "find_spec", lambda _: None)
    booster = loaded(trained("binary:logistic"))
    with capture_logs() as logs:
        assert fastest(booster) is booster
    assert "pip install 'modelog-serving[trees]'" in logs[0]["why"]


def test_a_tree_that_asks_for_a_feature_that_is_not_there_is_not_compiled() -> None:
    document = json.loads(loaded(trained("binary:logistic")).document())
    document["learner"]["gradient_booster"]["model"]["trees"][0]["split_indices"][0] = WIDTH
    with pytest.raises(DoesNotFit, match="a feature beyond the 7 that there are"):
        trees_of(json.dumps(document).encode())
