"""XGBoost: parameters, the evaluation of each round, the model and how much each feature gained."""

from __future__ import annotations

from typing import Any, Mapping

from modelog.autologging.boosting import watch_boosting
from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches


def watch(patches: Patches, fits: Fits) -> None:
    """Watch `xgboost.train` and the estimators, which call it."""
    import xgboost

    def gains(booster: Any) -> Mapping[str, float]:
        return booster.get_score(importance_type="gain")  # type: ignore[no-any-return]

    watch_boosting(patches, fits, xgboost, 10, lambda fit: _callback(xgboost, fit), gains, "model.ubj")


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
