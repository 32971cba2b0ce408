"""scikit-learn: parameters, scores on the training data, the result of a search, and the fitted estimator."""

from __future__ import annotations

import pickle
from typing import Any, Callable, Dict, Iterator, Type

from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches

PREFIX = "training_"


def watch(patches: Patches, fits: Fits) -> None:
    """Watch `fit` of every estimator of scikit-learn that is loaded."""
    from sklearn.base import BaseEstimator

    def fit_method(original: Callable[..., Any], estimator: Any, *data: Any, **named: Any) -> Any:
        with fits.fit() as fit:
            fitted = original(estimator, *data, **named)
            if fit is not None:
                _tell(fit, estimator, data, named)
            return fitted

    for kind in set(_estimators(BaseEstimator)):
        patches.around(kind, "fit", fit_method)


def _estimators(kind: Type[Any]) -> Iterator[Type[Any]]:
    if "fit" in vars(kind) and kind.__module__.startswith("sklearn."):
        yield kind
    for derived in kind.__subclasses__():
        yield from _estimators(derived)


def _tell(fit: Fit, estimator: Any, data: Any, named: Any) -> None:
    fit.params({"estimator_class": type(estimator).__name__, **estimator.get_params(deep=True)})
    x, y = (*data, None, None)[:2]
    x, y = named.get("X", x), named.get("y", y)
    if y is not None and hasattr(estimator, "predict"):
        for name, value in _scores(estimator, x, y).items():
            fit.metric(f"{PREFIX}{name}", value, 0)
    results = getattr(estimator, "cv_results_", None)
    if results is not None:
        fit.params({f"best_{name}": value for name, value in getattr(estimator, "best_params_", {}).items()})
        if hasattr(estimator, "best_score_"):
            fit.metric("best_cv_score", estimator.best_score_, 0)
        fit.text("cv_results.csv", _table(results))
    fit.model("model.pkl", lambda file: file.write_bytes(pickle.dumps(estimator)))


def _scores(estimator: Any, x: Any, y: Any) -> Dict[str, float]:
    from sklearn import metrics
    from sklearn.base import is_classifier, is_regressor

    if is_classifier(estimator):
        predicted = estimator.predict(x)
        average = {"average": "weighted", "zero_division": 0}
        return {
            "accuracy_score": metrics.accuracy_score(y, predicted),
            "precision_score": metrics.precision_score(y, predicted, **average),
            "recall_score": metrics.recall_score(y, predicted, **average),
            "f1_score": metrics.f1_score(y, predicted, **average),
        }
    if is_regressor(estimator):
        predicted = estimator.predict(x)
        squared = metrics.mean_squared_error(y, predicted)
        return {
            "r2_score": metrics.r2_score(y, predicted),
            "mean_squared_error": squared,
            "root_mean_squared_error": squared**0.5,
            "mean_absolute_error": metrics.mean_absolute_error(y, predicted),
        }
    return {}


def _table(results: Any) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text)
    names = list(results)
    writer.writerow(names)
    writer.writerows(zip(*(results[name] for name in names)))
    return text.getvalue()
