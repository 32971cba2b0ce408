"""Runs XGBoost models, from files in UBJSON or JSON."""

from __future__ import annotations

import hashlib

from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import Model
from modelog_serving.runtimes.beside import Beside
from modelog_serving.runtimes.fitting import check_features, check_no_labels, check_width
from modelog_serving.runtimes.ubjson import NotWhole, check_whole
from modelog_serving.runtimes.xgboost_compiled import CompiledTrees, by_library, fastest
from modelog_serving.runtimes.xgboost_library import Booster, XGBoostFailed
from modelog_serving.runtimes.xgboost_mapped import MappedTrees, Traits, traits_of

# The objectives whose answers are whole numbers.
LABELS = ("multi:softmax", "binary:hinge")


class XGBoostRuntime:
    """The adapter for flavor "xgboost"; `threads` is how many threads one prediction uses.

    With `original` the library itself answers, whatever else could. `beside` is where compiled trees are kept, for all
    processes that load the same file.
    """

    def __init__(self, threads: int = 1, *, original: bool = False, beside: Beside | None = None) -> None:
        self._threads, self._original = threads, original
        self._mapped = None if beside is None else MappedTrees(beside, threads)
        self._beside = beside

    def load(self, content: bytes, signature: Signature, approved: bool) -> Model:
        if self._original:
            booster, _ = self._by_library(content, signature)
            return by_library(booster, "another engine was tried before, and answered otherwise")
        if self._mapped is None or self._beside is None:
            return fastest(self._by_library(content, signature)[0])
        digest = hashlib.sha256(content).hexdigest()
        found = _fitting(self._mapped, digest, signature)
        if found is not None:
            return found
        with self._beside.turn(digest):
            found = _fitting(self._mapped, digest, signature)
            if found is not None:
                return found
            made = self._mapped.made(digest, *self._by_library(content, signature))
            # What it was made with, the model in the library's memory among it, need not stay.
            return _fitting(self._mapped, digest, signature) or made

    def _by_library(self, content: bytes, signature: Signature) -> tuple[Booster, Traits]:
        _check_whole(content)
        try:
            booster = Booster(content, self._threads)
            check_features(booster.features(), booster.feature_names(), signature)
            traits = traits_of(booster)
        except XGBoostFailed as error:
            reason = str(error).splitlines()[0]
            raise NotAllowed(f"the model file is not an XGBoost model in UBJSON or JSON: {reason}") from error
        _check(traits, signature)
        return booster, traits


def _fitting(mapped: MappedTrees, digest: str, signature: Signature) -> CompiledTrees | None:
    found = mapped.find(digest)
    if found is None:
        return None
    model, traits = found
    check_features(traits.features, traits.names, signature)
    _check(traits, signature)
    return model


def _check(traits: Traits, signature: Signature) -> None:
    check_width(traits.width, signature)
    if traits.objective not in LABELS:
        check_no_labels(traits.objective, signature)


def _check_whole(content: bytes) -> None:
    """The library itself looks at the second byte to tell JSON from UBJSON; JSON that is cut off it refuses."""
    if content[:1] == b"{" and content[1:2] in (b'"', b"}", b" ", b"\n", b"\r", b"\t"):
        return
    try:
        check_whole(content)
    except NotWhole as error:
        raise NotAllowed(f"the model file is not an XGBoost model in UBJSON or JSON, or is damaged: {error}") from None


runtime = XGBoostRuntime
