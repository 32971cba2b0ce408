"""Runs models that have scikit-learn's interface: `predict`, and for probabilities `predict_proba`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from modelog_common.domain.errors import NotAllowed
from numpy.typing import NDArray

from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.runtimes.fitting import check_features, check_width
from modelog_serving.runtimes.sklearn_file import read, risky
from modelog_serving.runtimes.table import Table, not_taken

__all__ = ["risky", "runtime"]
Answer = Callable[[Any], AnyArray]


@dataclass(frozen=True)
class Estimator:
    """`table` is as the model was fitted: with the names of columns, or an array."""

    answers: Sequence[Answer]
    table: Table

    def predict(self, rows: Matrix) -> Matrix:
        """Raises Invalid for rows that the model cannot take, such as with a missing value."""
        try:
            table = self.table.of(rows)
            parts = [np.asarray(answer(table)).reshape(len(rows), -1) for answer in self.answers]
        except (ValueError, TypeError) as error:
            raise not_taken(rows, error) from error
        if len(parts) == 1 and parts[0].dtype in (np.float32, np.float64):
            return parts[0]
        whole: NDArray[np.float64] = np.concatenate(parts, axis=1, dtype=np.float64)
        return whole


class SklearnRuntime:
    """The adapter for flavor "sklearn"; how many threads a prediction uses is the model's own setting."""

    def load(self, content: bytes, signature: Signature, approved: bool) -> Estimator:
        model = read(content, approved)
        if not callable(getattr(model, "predict", None)):
            raise NotAllowed(f"the model file holds a {type(model).__name__}, which cannot predict")
        names = tuple(str(name) for name in getattr(model, "feature_names_in_", ()))
        check_features(getattr(model, "n_features_in_", len(signature.features)), names, signature)
        made = Estimator([_answer(model, spec) for spec in signature.outputs], Table.of_signature(signature, names))
        try:
            found = made.predict(np.zeros((1, len(signature.features)), np.float32))
        except Exception as error:  # whatever the classes in the file raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:500]
            raise NotAllowed(f"the model file does not answer a row of zeros: {reason}") from error
        check_width(found.shape[1], signature)
        return made


def _answer(model: Any, spec: TensorSpec) -> Answer:
    """What makes an output: labels are whole numbers, or floats where the classes are; other floats probabilities."""
    classes = getattr(model, "classes_", None)
    if classes is None or isinstance(classes, list):
        return _plain(model, spec)
    kind = np.asarray(classes).dtype.kind
    labels = not spec.datatype.startswith("FP") or (kind == "f" and spec.width == 1)
    if labels and kind not in "fiub":
        raise NotAllowed(f"the model file answers with labels such as {classes[0]!r}; only numbers are served")
    if labels:
        return _plain(model, spec)
    if not callable(getattr(model, "predict_proba", None)):
        raise NotAllowed(
            f"the model file holds a {type(model).__name__}, which has no probabilities for {spec.name!r}; sign it "
            "with INT64 for its labels"
        )
    if spec.width == len(classes):
        probabilities: Answer = model.predict_proba
        return probabilities
    if spec.width == 1 and len(classes) == 2:
        return lambda table: np.asarray(model.predict_proba(table)[:, 1])
    raise NotAllowed(f"the model file knows {len(classes)} classes, its signature gives {spec.name!r} {spec.width}")


def _plain(model: Any, spec: TensorSpec) -> Answer:
    """`predict`, whose floats are not cut to whole numbers."""

    def answer(table: Any) -> AnyArray:
        found = np.asarray(model.predict(table))
        if found.dtype.kind not in "fiub" or (found.dtype.kind == "f" and not spec.datatype.startswith("FP")):
            raise ValueError(f"it answers {spec.name!r} with {found.dtype}, not with {spec.datatype}")
        return found

    return answer


def runtime(_threads: int) -> SklearnRuntime:
    """Models of scikit-learn set their threads themselves (`n_jobs`)."""
    return SklearnRuntime()
