"""XGBoost keeps what every runtime promises."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import xgboost
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.runtimes.xgboost_runtime import XGBoostRuntime
from runtime_suite import Case, RuntimeSuite

NAMES = ("hour", "wind", "carrier")
ROWS = np.random.default_rng(1).normal(size=(60, 3))
ROWS[:, 2] = np.arange(60) % 5


@cache
def trained(classes: int) -> xgboost.Booster:
    labels = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 2] > 2) * (classes > 2)
    types = ["float", "float", "c"]
    data = xgboost.DMatrix(ROWS, labels, feature_names=list(NAMES), feature_types=types, enable_categorical=True)
    objective = {"objective": "multi:softprob", "num_class": classes} if classes > 2 else {"objective": "reg:logistic"}
    return xgboost.train({**objective, "nthread": 1, "max_depth": 3}, data, 5)


class TestXGBoost(RuntimeSuite):
    """Of floats."""

    @pytest.fixture
    def case(self) -> Case:
        booster = trained(2)
        signature = Signature((TensorSpec("x", "FP32", (-1, 3), NAMES),), (TensorSpec("late", "FP32", (-1,)),))
        return Case(
            "xgboost",
            bytes(booster.save_raw("ubj")),
            signature,
            ROWS,
            lambda rows: booster.inplace_predict(rows, validate_features=False).reshape(len(rows), -1),
        )


class TestXGBoostOfDoubles(RuntimeSuite):
    """As MLflow signs what was trained with pandas: doubles, which the library makes float32 of itself."""

    @pytest.fixture
    def case(self) -> Case:
        booster = trained(3)
        signature = Signature((TensorSpec("x", "FP64", (-1, 3), NAMES),), (TensorSpec("p", "FP32", (-1, 3)),))
        return Case(
            "xgboost",
            bytes(booster.save_raw("json")),
            signature,
            ROWS,
            lambda rows: booster.inplace_predict(rows, validate_features=False),
        )


def test_no_cut_through_a_file_in_ubjson_reaches_the_library() -> None:
    """Which reads beyond the end of some, and takes the process along."""
    content = bytes(trained(2).save_raw("ubj"))
    signature = Signature((TensorSpec("x", "FP32", (-1, 3), NAMES),), (TensorSpec("late", "FP32", (-1,)),))
    for kept in range(0, len(content), 3):
        with pytest.raises(NotAllowed, match="the model file"):
            XGBoostRuntime().load(content[:kept], signature, False)
    with pytest.raises(NotAllowed, match="or lies too deep"):
        XGBoostRuntime().load(b"{U\x01a" * 100, signature, False)
