"""LightGBM: parameters, the evaluation of each round, the model and how much each feature gained."""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Mapping

from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches


def watch(patches: Patches, fits: Fits) -> None:
    """Watch `lightgbm.train` and the estimators, which call it."""
    import lightgbm

    def train(original: Callable[..., Any], params: Mapping[str, Any], train_set: Any, *rest: Any, **named: Any) -> Any:
        with fits.fit() as fit:
            if fit is None:
                return original(params, train_set, *rest, **named)
            callbacks = [*(named.pop("callbacks", None) or []), _rounds(fit)]
            rounds = rest[0] if rest else named.get("num_boost_round", 100)
            fit.params({**params, "num_boost_round": rounds})
            booster = original(params, train_set, *rest, callbacks=callbacks, **named)
            gains = booster.feature_importance(importance_type="gain")
            importance = {name: float(gain) for name, gain in zip(booster.feature_name(), gains)}
            fit.text("feature_importance.json", json.dumps(importance, indent=1))
            fit.model("model.txt", lambda file: booster.save_model(str(file)))
            return booster

    patches.around(lightgbm, "train", train)
    estimators = sys.modules.get("lightgbm.sklearn")
    if estimators is not None:
        patches.around(estimators, "train", train)


def _rounds(fit: Fit) -> Callable[[Any], None]:
    def after_round(environment: Any) -> None:
        for data, metric, value, *_ in environment.evaluation_result_list or ():
            fit.metric(f"{data}-{metric}", value, environment.iteration)

    return after_round
