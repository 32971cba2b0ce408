"""Runs LightGBM models, from the text files that `Booster.save_model` and MLflow write."""

from __future__ import annotations

import re

import numpy as np
from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.failed import NoRuntime
from modelog_serving.engine.runtime import Model
from modelog_serving.runtimes.fitting import check_features, check_no_labels, check_width
from modelog_serving.runtimes.lightgbm_library import Booster, LightGBMFailed

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
_SIZES = re.compile(rb"^tree_sizes=([0-9 ]*)$", re.MULTILINE)
_OBJECTIVE = re.compile(r"^objective=(.+)$", re.MULTILINE)
_UNNAMED = re.compile(r"Column_\d+")
_CATEGORIES = re.compile(rb"^pandas_categorical:(.*)$", re.MULTILINE)


class LightGBMRuntime:
    """The adapter for flavor "lightgbm"; `threads` is how many threads one prediction uses."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def load(self, content: bytes, signature: Signature, approved: bool) -> Model:
        if content.startswith((ZIP, PICKLE)):
            return _estimator(content, signature, approved)
        _check_text(content)
        try:
            booster = Booster(content, self._threads)
            check_features(booster.features(), _given(booster.feature_names(), signature), signature)
            width = booster.predict(np.zeros((1, len(signature.features)), np.float64)).shape[1]
        except LightGBMFailed as error:
            raise NotAllowed(f"the model file is not a LightGBM model as text: {error}") from error
        check_width(width, signature)
        objective = _OBJECTIVE.search(content.decode(errors="replace"))
        check_no_labels(objective[1].split()[0] if objective else "a custom objective", signature)
        return booster


def risky(content: bytes) -> bool:
    """Whether a file holds more than trees: classes of LightGBM's interface for scikit-learn."""
    return content.startswith((ZIP, PICKLE))


def _estimator(content: bytes, signature: Signature, approved: bool) -> Model:
    """What has scikit-learn's interface, such as LGBMClassifier, MLflow writes as it writes scikit-learn's models."""
    try:
        from modelog_serving.runtimes.sklearn_runtime import SklearnRuntime
    except ImportError as error:
        raise NoRuntime(
            f"the model file is of LightGBM's interface for scikit-learn, which needs {error.name}: "
            "pip install 'modelog-serving[sklearn]', or register the booster itself (booster_)"
        ) from error
    return SklearnRuntime().load(content, signature, approved)


def _check_text(content: bytes) -> None:
    """Raise NotAllowed for what is not whole: the library reads trees where the sizes in the text say they are."""
    if not content.startswith(b"tree\n") or b"\0" in content:
        raise NotAllowed(
            "the model file is not a LightGBM model as text: Booster.save_model writes one, which begins with 'tree'"
        )
    sizes = _SIZES.search(content)
    start = content.find(b"Tree=0\n")
    for number, size in enumerate(sizes[1].split() if sizes else []):
        tree = f"Tree={number}\n".encode()
        if content[start : start + len(tree)] != tree:
            raise NotAllowed(f"the model file is damaged: tree {number} is not where it says")
        start += int(size)
    rest = content[start:]
    cut = b"\nparameters:" in rest and b"\nend of parameters" not in rest
    if not sizes or cut or not rest.startswith(b"end of trees"):
        raise NotAllowed("the model file is damaged: its trees or parameters do not end")
    categories = _CATEGORIES.search(content)
    if categories and categories[1].strip() not in (b"null", b"[]"):
        raise NotAllowed(
            "the model was trained with pandas' categories, whose codes only that table knows; train it on the codes "
            "as whole numbers, with categorical_feature="
        )


def _given(names: list[str], signature: Signature) -> list[str]:
    """The names as the signature writes them, for the library has underscores for spaces; none where it made all up."""
    if all(_UNNAMED.fullmatch(name) for name in names):
        return []
    signed = {name.replace(" ", "_"): name for name in signature.features}
    return [signed.get(name, name) for name in names]


runtime = LightGBMRuntime
