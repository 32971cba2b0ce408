"""How a model of river learns a lesson: each label's prediction is tried before it is learned from, as river's own
`evaluate.progressive_val_score` does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle
import numpy as np
from modelog_common.domain.errors import Invalid, NotAllowed
from river import base, compose

from modelog_serving.learning.terms import Seen

Features = Mapping[str, Any]


@dataclass(frozen=True)
class Truth:
    """What became known: 0 or 1, and a number; NaN for what was not told."""

    label: float
    amount: float


def learned(registered: Any, state: bytes, rows: Sequence[Features], truths: Sequence[Truth]) -> tuple[bytes, Seen]:
    """What the model in `state` becomes when it learns these, in order, and how it and the registered one did on them.

    It is read from its bytes each time, so a step that is taken again begins from the same. Raises Invalid, naming the
    label, for one that such a model cannot learn from, NotAllowed for a model that learns from none, and whatever the
    model raises.
    """
    model = cloudpickle.loads(state)
    target, error_of = _kind(model)
    errors, others = [], []
    for number, (row, truth) in enumerate(zip(rows, truths, strict=True)):
        known = target(truth, number)
        errors.append(error_of(model.predict_one(row), known))
        others.append(error_of(registered.predict_one(row), known))
        model.learn_one(row, known)
    squares = math.fsum((mine - theirs) ** 2 for mine, theirs in zip(errors, others, strict=True))
    seen = Seen(len(errors), math.fsum(errors), math.fsum(others), squares)
    if not all(map(math.isfinite, (seen.error_sum, seen.registered_sum, seen.squares))):
        raise NotAllowed("its error is no finite number any more")
    return cloudpickle.dumps(model), seen


def last_step(model: Any) -> Any:
    """A pipeline is what its last step is."""
    while isinstance(model, compose.Pipeline):
        model = list(model.steps.values())[-1]
    return model


def _kind(model: Any) -> tuple[Callable[[Truth, int], float], Callable[[Any, float], float]]:
    """What it learns, and what its error is."""
    kind = last_step(model)
    if isinstance(kind, base.Classifier):
        return _class_of, _wrong
    if isinstance(kind, base.Regressor):
        return _number_of, lambda found, known: abs(float(found) - known)
    raise NotAllowed(f"a {type(kind).__name__} learns from no labels; classifiers and regressors do")


def _class_of(truth: Truth, number: int) -> int:
    value = truth.amount if math.isnan(truth.label) else truth.label
    if not float(value).is_integer():
        raise Invalid.field(f"labels[{number}]", f"is {value:g}; a classifier learns from classes, whole numbers")
    return int(value)


def _number_of(truth: Truth, _number: int) -> float:
    return truth.label if math.isnan(truth.amount) else truth.amount


def _wrong(found: Any, known: float) -> float:
    """A model that knows nothing yet answers None, which is wrong."""
    if found is not None and not isinstance(found, (bool, int, float, np.bool_, np.number)):
        # A label would be one more class beside those.
        raise NotAllowed(f"its classes are no numbers ({found!r:.80}), and labels are")
    return float(found != known)
