"""XGBoost: parameters, the evaluation of each round, the model and how much each feature gained."""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Mapping

from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches


def watch(patches: Patches, fits: Fits) -> None:
    """Watch `xgboost.train` and the estimators, which call it."""
    import xgboost

    def train(original: Callable[..., Any], params: Mapping[str, Any], dtrain: Any, *rest: Any, **named: Any) -> Any:
        with fits.fit() as fit:
            if fit is None:
                return original(params, dtrain, *rest, **named)
            callbacks = [*(named.pop("callbacks", None) or []), _callback(xgboost, fit)]
            rounds = rest[0] if rest else named.get("num_boost_round", 10)
            fit.params({**params, "num_boost_round": rounds})
            booster = original(params, dtrain, *rest, callbacks=callbacks, **named)
            fit.text("feature_importance.json", json.dumps(booster.get_score(importance_type="gain"), indent=1))
            fit.model("model.ubj", booster.save_model)
            return booster

    patches.around(xgboost, "train", train)
    estimators = sys.modules.get("xgboost.sklearn")
    if estimators is not None:
        patches.around(estimators, "train", train)


def _callback(xgboost: Any, fit: Fit) -> Any:
    class Rounds(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Any]]) -> bool:
            for data, metrics in evals_log.items():
                for metric, values in metrics.items():
                    last = values[-1]
                    # With cross-validation it is a mean and its deviation.
                    fit.metric(f"{data}-{metric}", last[0] if isinstance(last, tuple) else last, epoch)
            return False

    return Rounds()
