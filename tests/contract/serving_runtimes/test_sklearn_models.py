"""scikit-learn's models keep what every runtime promises, and a file runs nothing before its version is approved."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas
import pytest
import skops.io
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.runtimes import sklearn_file
from runtime_suite import Case, RuntimeSuite
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NAMES = ("hour", "wind", "carrier")
ROWS = np.random.default_rng(7).normal(size=(120, 3))
ROWS[:, 2] = np.arange(120) % 4
LATE = ROWS[:, 0] > 0
INPUTS = (TensorSpec("x", "FP64", (-1, 3), NAMES),)
BOTH = (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP64", (-1, 2)))


def both(model: Any, table: Any) -> np.ndarray[Any, Any]:
    return np.column_stack([model.predict(table), model.predict_proba(table)])


@cache
def pipeline() -> Any:
    """Fitted with names: a table of pandas, whose carriers are codes."""
    table = pandas.DataFrame({"hour": ROWS[:, 0], "wind": ROWS[:, 1], "carrier": ROWS[:, 2].astype(np.int64)})
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), ["hour", "wind"]), ("codes", OneHotEncoder(), ["carrier"])]
    )
    return make_pipeline(columns, LogisticRegression()).fit(table, LATE.astype(int))


@cache
def forest() -> Any:
    return RandomForestClassifier(5, random_state=0).fit(ROWS, LATE.astype(int))


class TestSklearnPipelineInSkops(RuntimeSuite):
    """Labels and probabilities of columns of two datatypes, by name."""

    @pytest.fixture
    def case(self) -> Case:
        inputs = tuple(
            TensorSpec(name, datatype, (-1, 1), (name,))
            for name, datatype in zip(NAMES, ("FP64", "FP64", "INT64"), strict=True)
        )

        def answers(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            table = pandas.DataFrame(rows, columns=list(NAMES)).astype({"carrier": np.int64})
            return both(pipeline(), table)

        return Case(
            "sklearn",
            skops.io.dumps(pipeline()),
            Signature(inputs, BOTH),
            ROWS,
            answers,
            takes_missing=False,
            has_codes=True,
        )


class TestSklearnRegressionInSkops(RuntimeSuite):
    """Of an array without names, in float64."""

    @pytest.fixture
    def case(self) -> Case:
        model = LinearRegression().fit(ROWS, ROWS[:, 0] * 1e9 + ROWS[:, 1])
        signature = Signature(INPUTS, (TensorSpec("delay", "FP64", (-1,)),))
        return Case(
            "sklearn",
            skops.io.dumps(model),
            signature,
            ROWS,
            lambda rows: model.predict(rows).reshape(-1, 1),
            takes_missing=False,
            checks_names=False,
        )


class TestSklearnForestInApprovedPickle(RuntimeSuite):
    """As MLflow 2 writes it."""

    @pytest.fixture
    def case(self) -> Case:
        return Case(
            "sklearn",
            cloudpickle.dumps(forest()),
            Signature(INPUTS, BOTH),
            ROWS,
            lambda rows: both(forest(), rows),
            checks_names=False,
            approved=True,
        )


class TestSklearnBoostingInApprovedSkops(RuntimeSuite):
    """With types that skops does not vouch for; a missing value is one of its own."""

    @pytest.fixture
    def case(self) -> Case:
        model = HistGradientBoostingRegressor(max_iter=5, categorical_features=[2]).fit(ROWS, ROWS[:, 0])
        return Case(
            "sklearn",
            skops.io.dumps(model),
            Signature(INPUTS, (TensorSpec("delay", "FP64", (-1,)),)),
            ROWS,
            lambda rows: model.predict(rows).reshape(-1, 1),
            checks_names=False,
            approved=True,
        )


class Writes:
    """Whoever reads its pickle makes a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self._path),)


def joblib_of(model: Any) -> bytes:
    target = io.BytesIO()
    joblib.dump(model, target, compress=3)
    return target.getvalue()


def load(content: bytes, outputs: tuple[TensorSpec, ...] = BOTH, approved: bool = False) -> Any:
    return Case("sklearn", content, Signature(INPUTS, outputs), ROWS, lambda rows: rows, approved=approved).load()


@pytest.mark.parametrize("write", [pickle.dumps, cloudpickle.dumps, joblib_of, lambda model: pickle.dumps(model, 0)])
def test_nothing_in_a_pickle_runs_before_its_version_is_approved(write: Callable[[Any], bytes], tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    content = write(Writes(trace))
    with pytest.raises(NotAllowed, match="reading a pickle runs the code in it: have the version approved"):
        load(content)
    assert not trace.exists()
    with pytest.raises(NotAllowed, match="holds a NoneType, which cannot predict"):
        load(content, approved=True)
    assert trace.exists()


def test_types_that_skops_does_not_know_are_named_before_anything_is_made_of_them() -> None:
    with pytest.raises(NotAllowed, match=r"holds sklearn.tree._tree.Tree, which skops does not know to be harmless"):
        load(skops.io.dumps(forest()))
    assert load(skops.io.dumps(forest()), approved=True) is not None


def test_a_function_that_a_file_of_skops_names_is_not_called_before_it_is_approved(tmp_path: Path) -> None:
    """The schema is a text: anybody may write into it what skops itself would never write."""
    content = skops.io.dumps(LinearRegression().fit(ROWS, LATE))
    renamed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(renamed, "w") as new:
        for name in old.namelist():
            part = old.read(name).decode("latin-1")
            new.writestr(
                name, part.replace('"LinearRegression"', '"system"').replace("sklearn.linear_model._base", "os")
            )
    with pytest.raises(NotAllowed, match="holds os.system"):
        load(renamed.getvalue())


def test_a_file_that_unpacks_to_too_much_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn_file, "MOST_BYTES", 1000)
    with pytest.raises(NotAllowed, match="bytes when it is unpacked; at most 1000 are read"):
        load(skops.io.dumps(pipeline()))


def test_one_probability_is_that_of_the_second_class() -> None:
    model = LogisticRegression().fit(ROWS, LATE.astype(int))
    found = load(skops.io.dumps(model), (TensorSpec("late", "FP64", (-1,)),)).predict(ROWS)
    np.testing.assert_array_equal(found[:, 0], model.predict_proba(ROWS)[:, 1])


def test_labels_that_are_floats_are_labels() -> None:
    model = LogisticRegression().fit(ROWS, LATE * 2.0)
    found = load(skops.io.dumps(model), (TensorSpec("late", "FP64", (-1,)),)).predict(ROWS)
    np.testing.assert_array_equal(found[:, 0], model.predict(ROWS))


def test_labels_that_are_texts_are_refused_and_floats_are_not_cut_to_labels() -> None:
    texts = LogisticRegression().fit(ROWS, np.where(LATE, "late", "early"))
    with pytest.raises(NotAllowed, match="answers with labels such as"):
        load(skops.io.dumps(texts), BOTH[:1])
    with pytest.raises(NotAllowed, match="it answers 'label' with float64, not with INT64"):
        load(skops.io.dumps(LinearRegression().fit(ROWS, ROWS[:, 0])), BOTH[:1])


def test_a_model_that_cannot_predict_is_refused() -> None:
    with pytest.raises(NotAllowed, match="holds a StandardScaler, which cannot predict"):
        load(skops.io.dumps(StandardScaler().fit(ROWS)))
