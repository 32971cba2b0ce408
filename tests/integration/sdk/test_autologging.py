"""Our own autologging, of XGBoost and scikit-learn: what is fitted stands in the run, and nothing else changes."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import modelog
import numpy as np
import pytest
import sklearn.base
import xgboost
from modelog.autologging.fits import Fits
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DRAW = np.random.default_rng(7)
X = DRAW.normal(size=(80, 3))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
PARAMS = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1}


def logged(client: modelog.Client, run: modelog.ActiveRun) -> modelog.types.Run:
    return client.runs.get(run.id)


def paths(run: modelog.types.Run) -> set[str]:
    """What is kept besides what the program ran in."""
    return {artifact.path for artifact in run.artifacts if not artifact.path.startswith("environment/")}


def test_rounds_of_xgboost_are_a_curve(alice: modelog.Client, tmp_path: Path) -> None:
    data = xgboost.DMatrix(X, Y)
    before = xgboost.train
    with modelog.start_run("rounds", client=alice, system_metrics=False) as run, modelog.autolog(run):
        booster = xgboost.train(PARAMS, data, 6, evals=[(data, "train")])
    assert xgboost.train is before
    found = logged(alice, run)
    assert (found.parameters["max_depth"], found.parameters["num_boost_round"]) == (2, 6)
    curve = alice.runs.history(run.id, "train-logloss")
    assert curve.steps == list(range(6))
    assert curve.values == sorted(curve.values, reverse=True)
    assert paths(found) == {"model.ubj", "feature_importance.json"}
    kept = next(a for a in found.artifacts if a.path == "model.ubj")
    again = xgboost.Booster(model_file=alice.artifacts.download(kept.digest, tmp_path / "model.ubj"))
    assert np.array_equal(again.predict(data), booster.predict(data))


def test_an_estimator_of_xgboost_is_one_fit_and_a_second_fit_is_told_apart(alice: modelog.Client) -> None:
    with modelog.start_run("two fits", client=alice, system_metrics=False) as run, modelog.autolog(run):
        xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y, eval_set=[(X, Y)], verbose=False)
        xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X, Y, verbose=False)
    found = logged(alice, run)
    assert (found.parameters["num_boost_round"], found.parameters["fit2.num_boost_round"]) == (3, 2)
    assert alice.runs.history(run.id, "validation_0-logloss").steps == [0, 1, 2]
    assert "fit2.model.ubj" in paths(found)


def test_a_search_of_scikit_learn_is_one_fit(alice: modelog.Client) -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    with modelog.start_run("search", client=alice, system_metrics=False) as run, modelog.autolog(run):
        search.fit(X, Y)
    found = logged(alice, run)
    assert found.parameters["estimator_class"] == "GridSearchCV"
    assert found.parameters["best_logisticregression__C"] == search.best_params_["logisticregression__C"]
    assert found.metrics["best_cv_score"] == pytest.approx(search.best_score_)
    assert found.metrics["training_accuracy_score"] > 0.9
    assert paths(found) == {"model.pkl", "cv_results.csv"}
    assert not [name for name in found.parameters if name.startswith("fit2.")]


def test_the_score_of_a_regression_and_a_model_that_is_not_wanted(alice: modelog.Client) -> None:
    with (
        modelog.start_run("regression", client=alice, system_metrics=False) as run,
        modelog.autolog(run, models=False),
    ):
        LinearRegression().fit(X, X[:, 0] * 2)
    found = logged(alice, run)
    assert found.metrics["training_r2_score"] == pytest.approx(1.0)
    assert paths(found) == set()


def test_a_parameter_that_the_run_has_keeps_its_value(alice: modelog.Client) -> None:
    given = {"max_depth": "as the plan says"}
    with (
        modelog.start_run("known", parameters=given, client=alice, system_metrics=False) as run,
        modelog.autolog(run, models=False),
    ):
        xgboost.train(PARAMS, xgboost.DMatrix(X, Y), 1)
    assert logged(alice, run).parameters["max_depth"] == "as the plan says"


def test_an_estimator_stays_what_it_was(alice: modelog.Client) -> None:
    fit = LinearRegression.fit
    with modelog.start_run("stays", client=alice, system_metrics=False) as run, modelog.autolog(run):
        fitted = LinearRegression().fit(X, X[:, 0])
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            LinearRegression().fit(X, X[:5, 0])
    assert LinearRegression.fit is fit
    assert sklearn.base.clone(fitted).get_params() == fitted.get_params()
    assert np.allclose(copy.deepcopy(fitted).predict(X), X[:, 0])
    assert logged(alice, run).status == "RUN_STATUS_COMPLETED"


def test_frameworks_are_chosen_by_name(alice: modelog.Client) -> None:
    with (
        modelog.start_run("chosen", client=alice, system_metrics=False) as run,
        modelog.autolog(run, frameworks=["xgboost"]),
    ):
        LinearRegression().fit(X, X[:, 0])
    assert not logged(alice, run).parameters
    with (
        pytest.raises(modelog.Invalid, match=r"frameworks: 'pandas' is not known; use some of sklearn\.base, xgboost"),
        modelog.autolog(run, frameworks=["pandas"]),
    ):
        raise AssertionError("it must not run")


def test_a_platform_that_is_away_is_not_waited_for_while_something_is_fitted(
    alice: modelog.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with modelog.start_run("away", client=alice, system_metrics=False) as run:
        fits = Fits(run, models=False)
        send, away = run.log_points, True

        def log_points(columns: object) -> None:
            if away:
                raise modelog.Unavailable("it does not answer")
            send(columns)

        monkeypatch.setattr(run, "log_points", log_points)
        monkeypatch.setattr(modelog.autologging.fits, "BATCH_POINTS", 2)
        with fits.fit() as fit:
            assert fit is not None
            for step in range(5):
                fit.metric("loss", 1.0 / (step + 1), step)
        with pytest.raises(modelog.Unavailable):
            fits.flush()
        away = False
        fits.flush()
    assert alice.runs.history(run.id, "loss").steps == [0, 1, 2, 3, 4]


def test_nothing_warns(alice: modelog.Client) -> None:
    with (
        warnings.catch_warnings(),
        modelog.start_run("quiet", client=alice, system_metrics=False) as run,
        modelog.autolog(run),
    ):
        warnings.simplefilter("error")
        xgboost.XGBRegressor(n_estimators=1, n_jobs=1).fit(X, X[:, 0])
    assert logged(alice, run).parameters["num_boost_round"] == 1
