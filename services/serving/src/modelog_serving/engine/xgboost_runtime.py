"""Runs XGBoost models, from files in UBJSON or JSON."""

from __future__ import annotations

import numpy as np
import xgboost
from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import Matrix


class XGBoostModel:
    """A booster that predicts in place; XGBoost's in-place prediction is thread-safe."""

    def __init__(self, booster: xgboost.Booster) -> None:
        self._booster = booster

    def predict(self, rows: Matrix) -> Matrix:
        answers = self._booster.inplace_predict(rows, validate_features=False)
        shaped: Matrix = np.asarray(answers, dtype=np.float32).reshape(len(rows), -1)
        return shaped


class XGBoostRuntime:
    """The adapter for flavor "xgboost"; `threads` is how many threads one prediction uses."""

    flavor = "xgboost"

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def load(self, content: bytes, signature: Signature) -> XGBoostModel:
        try:
            booster = xgboost.Booster({"nthread": self._threads})
            booster.load_model(bytearray(content))
        except xgboost.core.XGBoostError as error:
            reason = str(error).splitlines()[0]
            raise NotAllowed(f"the model file is not an XGBoost model in UBJSON or JSON: {reason}") from error
        booster.set_param({"nthread": self._threads})
        _check_features(booster, signature)
        model = XGBoostModel(booster)
        width = model.predict(np.zeros((1, len(signature.features)), np.float32)).shape[1]
        if width != signature.output_width:
            raise NotAllowed(
                f"the model file answers a row with {width} numbers, its signature says {signature.output_width}"
            )
        return model


def _check_features(booster: xgboost.Booster, signature: Signature) -> None:
    features = signature.features
    if booster.num_features() != len(features):
        raise NotAllowed(f"the model file takes {booster.num_features()} features, its signature names {len(features)}")
    names = booster.feature_names
    if names is None or list(names) == list(features) or not any(spec.columns for spec in signature.inputs):
        return
    for number, (named, signed) in enumerate(zip(names, features, strict=True)):
        if named != signed:
            raise NotAllowed(
                f"feature {number} of the model file is {named!r}, its signature says {signed!r}; "
                "the columns of a signature stand in the model's own order"
            )
