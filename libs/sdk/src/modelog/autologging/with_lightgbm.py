"""LightGBM: parameters, the evaluation of each round, the model and how much each feature gained."""

from __future__ import annotations

from typing import Any, Callable, Dict

from modelog.autologging.boosting import watch_boosting
from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches


def watch(patches: Patches, fits: Fits) -> None:
    """Watch `lightgbm.train` and the estimators, which call it."""
    import lightgbm

    watch_boosting(patches, fits, lightgbm, 100, _rounds, _gains, "model.txt")


def _gains(booster: Any) -> Dict[str, float]:
    gains = booster.feature_importance(importance_type="gain")
    return {name: float(gain) for name, gain in zip(booster.feature_name(), gains)}


def _rounds(fit: Fit) -> Callable[[Any], None]:
    def after_round(environment: Any) -> None:
        for data, metric, value, *_ in environment.evaluation_result_list or ():
            fit.metric(f"{data}-{metric}", value, environment.iteration)

    return after_round
