"""Runs XGBoost models, from files in UBJSON or JSON."""

from __future__ import annotations

import numpy as np
from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.xgboost_library import Booster, XGBoostFailed

# The objectives whose answers are whole numbers.
LABELS = ("multi:softmax", "binary:hinge")


class XGBoostRuntime:
    """The adapter for flavor "xgboost"; `threads` is how many threads one prediction uses."""

    flavor = "xgboost"

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def load(self, content: bytes, signature: Signature) -> Booster:
        try:
            booster = Booster(content, self._threads)
            _check_features(booster, signature)
            width = booster.predict(np.zeros((1, len(signature.features)), np.float32)).shape[1]
        except XGBoostFailed as error:
            reason = str(error).splitlines()[0]
            raise NotAllowed(f"the model file is not an XGBoost model in UBJSON or JSON: {reason}") from error
        if width != signature.output_width:
            raise NotAllowed(
                f"the model file answers a row with {width} numbers, its signature says {signature.output_width}"
            )
        _check_answers(booster, signature)
        return booster


def _check_answers(booster: Booster, signature: Signature) -> None:
    """A signature of labels over a file that answers with probabilities would have each of them cut to 0."""
    whole = next((spec for spec in signature.outputs if not spec.datatype.startswith("FP")), None)
    if whole is not None and booster.objective() not in LABELS:
        raise NotAllowed(
            f"the model file answers with the numbers of {booster.objective()}, its signature says {whole.datatype}: "
            "labels are not made of them here; sign it with FP32, as MLflow does when the booster itself is logged "
            "(get_booster())"
        )


def _check_features(booster: Booster, signature: Signature) -> None:
    features = signature.features
    if booster.features() != len(features):
        raise NotAllowed(f"the model file takes {booster.features()} features, its signature names {len(features)}")
    names = booster.feature_names()
    if not names or not any(spec.columns for spec in signature.inputs):
        return
    for number, (named, signed) in enumerate(zip(names, features, strict=True)):
        if named != signed:
            raise NotAllowed(
                f"feature {number} of the model file is {named!r}, its signature says {signed!r}; "
                "the columns of a signature stand in the model's own order"
            )
