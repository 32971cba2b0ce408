"""XGBoost and LightGBM alike: `train` takes parameters, data, rounds and callbacks, and gives a booster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Callable, Mapping

from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches


def watch_boosting(
    patches: Patches,
    fits: Fits,
    package: Any,
    rounds: int,
    callback: Callable[[Fit], Any],
    importance: Callable[[Any], Mapping[str, float]],
    model: str,
) -> None:
    """Watch `train` of a package and of its estimators, which call it.

    `rounds` are those that it does unasked; `importance` says how much each feature gained a booster; `model` is the
    name of the file that a booster is saved to.
    """

    def train(original: Callable[..., Any], params: Mapping[str, Any], data: Any, *rest: Any, **named: Any) -> Any:
        with fits.fit() as fit:
            if fit is None:
                return original(params, data, *rest, **named)
            callbacks = [*(named.pop("callbacks", None) or []), callback(fit)]
            fit.params({**params, "num_boost_round": rest[0] if rest else named.get("num_boost_round", rounds)})
            booster = original(params, data, *rest, callbacks=callbacks, **named)
            fit.text("feature_importance.json", json.dumps(importance(booster), indent=1))
            fit.model(model, lambda file: _save(booster, file))
            return booster

    patches.around(package, "train", train)
    estimators = sys.modules.get(f"{package.__name__}.sklearn")
    if estimators is not None:
        patches.around(estimators, "train", train)


def _save(booster: Any, file: Path) -> None:
    booster.save_model(str(file))
