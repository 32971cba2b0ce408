"""river's models keep what every runtime promises, as they were when they were saved."""

from __future__ import annotations

from functools import cache
from typing import Any

import cloudpickle
import numpy as np
import pytest
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from river import linear_model, preprocessing, tree
from runtime_suite import Case, RuntimeSuite

NAMES = ("hour", "wind", "carrier")
ROWS = np.random.default_rng(11).normal(size=(60, 3))
ROWS[:, 2] = np.arange(60) % 3
TABLE = (TensorSpec("x", "FP64", (-1, 2), NAMES[:2]), TensorSpec("carrier", "INT64", (-1, 1), NAMES[2:]))
BOTH = (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP64", (-1, 3)))


def by_name(row: Any) -> dict[str, Any]:
    numbers = zip(NAMES, row.tolist(), strict=True)
    return {name: int(value) if name == "carrier" else value for name, value in numbers if value == value}


@cache
def regression() -> Any:
    model = preprocessing.StandardScaler() | linear_model.LinearRegression()
    for row in ROWS:
        model.learn_one(by_name(row), row[0] * 2 + row[1])
    return model


@cache
def classes() -> Any:
    model = tree.HoeffdingTreeClassifier(grace_period=10)
    for row in ROWS:
        model.learn_one(by_name(row), int(row[2]))
    return model


def of_classes(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = []
    for row in rows:
        chances = classes().predict_proba_one(by_name(row))
        found.append([classes().predict_one(by_name(row)), *(chances[label] for label in sorted(chances))])
    return np.array(found, np.float64)


class TestRiverRegression(RuntimeSuite):
    @pytest.fixture
    def case(self) -> Case:
        signature = Signature(TABLE, (TensorSpec("delay", "FP64", (-1,)),))

        def answers(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return np.array([[regression().predict_one(by_name(row))] for row in rows])

        return Case(
            "river",
            cloudpickle.dumps(regression()),
            signature,
            ROWS,
            answers,
            has_codes=True,
            checks_names=False,
            counts_columns=False,
            approved=True,
        )


class TestRiverClasses(RuntimeSuite):
    """A label and the probabilities of three classes."""

    @pytest.fixture
    def case(self) -> Case:
        return Case(
            "river",
            cloudpickle.dumps(classes()),
            Signature(TABLE, BOTH),
            ROWS,
            of_classes,
            has_codes=True,
            checks_names=False,
            counts_columns=False,
            approved=True,
        )


def test_nothing_runs_before_the_version_is_approved() -> None:
    case = Case("river", cloudpickle.dumps(classes()), Signature(TABLE, BOTH), ROWS, of_classes)
    with pytest.raises(NotAllowed, match="have the version approved by somebody else"):
        case.load()


def test_a_model_that_has_not_learned_its_classes_is_refused() -> None:
    content = cloudpickle.dumps(tree.HoeffdingTreeClassifier())
    case = Case("river", content, Signature(TABLE, BOTH), ROWS, of_classes, approved=True)
    with pytest.raises(NotAllowed, match="does not answer a row of zeros"):
        case.load()
