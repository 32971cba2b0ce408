"""LightGBM keeps what every runtime promises."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from typing import Any

import lightgbm
import numpy as np
import pytest
import skops.io
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.runtime import Model
from runtime_suite import Case, RuntimeSuite

NAMES = ("hour of day", "ветер", "carrier")
ROWS = np.random.default_rng(2).normal(size=(200, 3))
ROWS[:, 2] = np.arange(200) % 5
LATE = (TensorSpec("late", "FP64", (-1,)),)
SIGNATURE = Signature((TensorSpec("x", "FP64", (-1, 3), NAMES),), LATE)


@cache
def trained(classes: int = 2, **settings: Any) -> lightgbm.Booster:
    """Of three columns, the last one of categories as codes."""
    labels = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 2] > 2) * (classes > 2)
    objective = {"objective": "multiclass", "num_class": classes} if classes > 2 else {"objective": "binary"}
    data = lightgbm.Dataset(ROWS, labels, feature_name=list(NAMES), categorical_feature=[2])
    settings = {**objective, "num_leaves": 8, "min_data_in_leaf": 3, "num_threads": 1, "verbosity": -1, **settings}
    return lightgbm.train(settings, data, 10)


def case_of(booster: lightgbm.Booster, signature: Signature) -> Case:
    return Case(
        "lightgbm",
        booster.model_to_string().encode(),
        signature,
        ROWS,
        lambda rows: np.asarray(booster.predict(rows)).reshape(len(rows), -1),
    )


class TestLightGBM(RuntimeSuite):
    """Of doubles, with categories as codes."""

    @pytest.fixture
    def case(self) -> Case:
        return case_of(trained(), SIGNATURE)

    def test_numbers_that_float32_cannot_tell_apart_are_told_apart(self, case: Case, model: Model) -> None:
        text = case.content.decode()
        threshold = float(text.split("Tree=0")[1].split("threshold=")[1].split()[0])
        below = np.nextafter(threshold, -np.inf)
        above = np.nextafter(threshold, np.inf)
        assert np.float32(below) == np.float32(above)
        column = int(text.split("Tree=0")[1].split("split_feature=")[1].split()[0])
        rows = np.tile(ROWS[:1], (2, 1))
        rows[:, column] = below, above
        found = case.asked(model, case.tensors(rows))[0]
        assert found[0] != found[1]
        np.testing.assert_array_equal(found, case.expected(rows)[0])


class TestLightGBMOfSeveralClasses(RuntimeSuite):
    """One probability for each class; columns of several datatypes."""

    @pytest.fixture
    def case(self) -> Case:
        inputs = tuple(
            TensorSpec(name, datatype, (-1, 1), (name,))
            for name, datatype in zip(NAMES, ("FP64", "FP32", "FP64"), strict=True)
        )
        return case_of(trained(3), Signature(inputs, (TensorSpec("p", "FP64", (-1, 3)),)))


def test_a_model_whose_features_have_no_names_takes_the_signature_s() -> None:
    data = lightgbm.Dataset(ROWS, ROWS[:, 0])
    booster = lightgbm.train({"objective": "regression", "verbosity": -1, "num_threads": 1}, data, 3)
    case = case_of(booster, SIGNATURE)
    np.testing.assert_array_equal(case.load().predict(ROWS)[:, 0], booster.predict(ROWS))


def test_labels_are_not_made_of_probabilities() -> None:
    whole = Signature(SIGNATURE.inputs, (TensorSpec("late", "INT64", (-1,)),))
    with pytest.raises(NotAllowed, match="answers with the numbers of binary, its signature says INT64"):
        case_of(trained(), whole).load()


def test_categories_that_only_the_table_knows_are_refused() -> None:
    content = trained().model_to_string().replace("pandas_categorical:null", 'pandas_categorical:[["AA", "UA"]]')
    with pytest.raises(NotAllowed, match="train it on the codes"):
        case_of(trained(), SIGNATURE).load(content.encode())


def test_a_tree_that_is_longer_than_it_says_is_not_read() -> None:
    content = trained().model_to_string()
    sizes = content.split("tree_sizes=")[1].split("\n")[0]
    first, *rest = sizes.split()
    with pytest.raises(NotAllowed, match="the model file is damaged: tree 1 is not where it says"):
        case_of(trained(), SIGNATURE).load(content.replace(sizes, " ".join([f"{first}0", *rest])).encode())


class TestLightGBMClassifierInApprovedSkops(RuntimeSuite):
    """As MLflow 3 writes what has scikit-learn's interface."""

    @pytest.fixture
    def case(self) -> Case:
        model = classifier()
        outputs = (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP64", (-1, 2)))
        return Case(
            "lightgbm",
            skops.io.dumps(model),
            Signature(SIGNATURE.inputs, outputs),
            ROWS,
            lambda rows: np.column_stack([model.predict(rows), model.predict_proba(rows)]),
            checks_names=False,
            approved=True,
        )

    def test_it_is_not_read_before_it_is_approved(self, case: Case) -> None:
        with pytest.raises(NotAllowed, match="holds collections.OrderedDict, lightgbm.basic.Booster"):
            replace(case, approved=False).load()


@cache
def classifier() -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, n_jobs=1, verbose=-1).fit(ROWS, ROWS[:, 0] > 0)


def test_the_interface_of_scikit_learn_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    content = skops.io.dumps(classifier())
    for name in [name for name in sys.modules if name.startswith("modelog_serving.runtimes.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(NotAllowed, match=r"pip install 'modelog-serving\[sklearn\]', or register the booster"):
        case_of(trained(), SIGNATURE).load(content)
