"""Runs XGBoost models, from files in UBJSON or JSON."""

from __future__ import annotations

import numpy as np
from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import Model
from modelog_serving.runtimes.fitting import check_features, check_no_labels, check_width
from modelog_serving.runtimes.ubjson import NotWhole, check_whole
from modelog_serving.runtimes.xgboost_compiled import by_library, fastest
from modelog_serving.runtimes.xgboost_library import Booster, XGBoostFailed

# The objectives whose answers are whole numbers.
LABELS = ("multi:softmax", "binary:hinge")


class XGBoostRuntime:
    """The adapter for flavor "xgboost"; `threads` is how many threads one prediction uses.

    With `original` the library itself answers, whatever else could.
    """

    def __init__(self, threads: int = 1, *, original: bool = False) -> None:
        self._threads, self._original = threads, original

    def load(self, content: bytes, signature: Signature, approved: bool) -> Model:
        _check_whole(content)
        try:
            booster = Booster(content, self._threads)
            check_features(booster.features(), booster.feature_names(), signature)
            width = booster.predict(np.zeros((1, len(signature.features)), np.float32)).shape[1]
        except XGBoostFailed as error:
            reason = str(error).splitlines()[0]
            raise NotAllowed(f"the model file is not an XGBoost model in UBJSON or JSON: {reason}") from error
        check_width(width, signature)
        if booster.objective() not in LABELS:
            check_no_labels(booster.objective(), signature)
        if self._original:
            return by_library(booster, "another engine was tried before, and answered otherwise")
        return fastest(booster)


def _check_whole(content: bytes) -> None:
    """The library itself looks at the second byte to tell JSON from UBJSON; JSON that is cut off it refuses."""
    if content[:1] == b"{" and content[1:2] in (b'"', b"}", b" ", b"\n", b"\r", b"\t"):
        return
    try:
        check_whole(content)
    except NotWhole as error:
        raise NotAllowed(f"the model file is not an XGBoost model in UBJSON or JSON, or is damaged: {error}") from None


runtime = XGBoostRuntime
