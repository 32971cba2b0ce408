"""Python functions keep what every runtime promises; nothing of them runs before their version is approved."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import cloudpickle
import numpy as np
import pandas
import pytest
from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from runtime_suite import Case, RuntimeSuite

ROWS = np.random.default_rng(3).normal(size=(60, 3))
ARRAY = (TensorSpec("x", "FP64", (-1, 3)),)
TABLE = (TensorSpec("x", "FP64", (-1, 2), ("hour", "wind")), TensorSpec("carrier", "INT64", (-1, 1), ("carrier",)))
DELAY = (TensorSpec("delay", "FP64", (-1,)),)
BOTH = (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP64", (-1, 2)))

# The functions are written into the files: the process that reads them has no such module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def linear(rows: Any) -> Any:
    if np.isnan(rows).any():
        raise ValueError("no row may lack a number")
    return rows @ np.array([2.0, 3.0, 5.0])


class Labels:
    """As MLflow's PythonModel: it gets a context, and a table by names."""

    def predict(self, context: Any, model_input: pandas.DataFrame) -> dict[str, Any]:
        late = 1 / (1 + np.exp(-(model_input["hour"] + model_input["wind"] * model_input["carrier"]).to_numpy()))
        return {"probabilities": np.column_stack([1 - late, late]), "label": (late > 0.5).astype(int)}


def labels_of(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = Labels().predict(None, pandas.DataFrame(rows, columns=["hour", "wind", "carrier"]))
    return np.column_stack([found["label"], found["probabilities"]])


class TestPythonFunctionOfAnArray(RuntimeSuite):
    @pytest.fixture
    def case(self) -> Case:
        return Case(
            "python_function",
            cloudpickle.dumps(linear),
            Signature(ARRAY, DELAY),
            ROWS,
            lambda rows: linear(rows).reshape(-1, 1),
            takes_missing=False,
            checks_names=False,
            approved=True,
        )


class TestPythonModelOfATable(RuntimeSuite):
    """Two inputs of two datatypes, two outputs by name."""

    @pytest.fixture
    def case(self) -> Case:
        rows = ROWS.copy()
        rows[:, 2] = np.arange(len(rows)) % 4
        return Case(
            "python_function",
            cloudpickle.dumps(Labels()),
            Signature(TABLE, BOTH),
            rows,
            labels_of,
            takes_missing=True,
            has_codes=True,
            checks_names=False,
            counts_columns=False,
            approved=True,
        )


def load(made: Any, **changed: Any) -> Any:
    case = Case("python_function", cloudpickle.dumps(made), Signature(ARRAY, DELAY), ROWS, linear, approved=True)
    return replace(case, **changed).load()


def test_nothing_runs_before_the_version_is_approved() -> None:
    with pytest.raises(NotAllowed, match="have the version approved by somebody else"):
        load(linear, approved=False)


def test_what_cannot_be_called_is_named() -> None:
    with pytest.raises(NotAllowed, match="holds a dict, which cannot be called"):
        load({"weights": 3})


def test_a_package_that_the_function_needs_is_named() -> None:
    with pytest.raises(NotAllowed, match="needs the package 'not_there', which this server does not have"):
        load(linear, content=b"\x80\x04cnot_there\nthing\n.").load()


@pytest.mark.parametrize("answer", [[[1.0, 2.0]], "late", None, [1.0, 2.0], 1.0])
def test_a_function_that_answers_something_else_is_refused_when_it_is_loaded(answer: Any) -> None:
    with pytest.raises(NotAllowed, match="does not answer a row of zeros|the model file answers a row with 2"):
        load(lambda rows: answer)


def test_a_mistake_in_the_function_is_not_the_caller_s() -> None:
    def fails(rows: Any) -> Any:
        return rows[:, 0] if not rows.any() else {}["nothing"]

    with pytest.raises(KeyError):
        load(fails).predict(ROWS)
    with pytest.raises(Invalid, match="hold what this model cannot take: invalid literal"):
        load(lambda rows: rows[:, 0] if not rows.any() else int("no")).predict(ROWS)
