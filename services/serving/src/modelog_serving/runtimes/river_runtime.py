"""Runs models of river, pickles of approved versions only; they answer as they were saved, and learn when they are told
to (`river_learning`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle
import numpy as np
from modelog_common.domain.errors import NotAllowed
from river import base

from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.failed import NeedsApproval
from modelog_serving.engine.runtime import Matrix
from modelog_serving.learning.terms import Seen
from modelog_serving.runtimes.feeds import WrongAnswer, first_line
from modelog_serving.runtimes.fitting import check_width
from modelog_serving.runtimes.python_runtime import HOW
from modelog_serving.runtimes.river_learning import Truth, last_step, learned
from modelog_serving.runtimes.table import not_taken

Features = Mapping[str, Any]
Answer = Callable[[Features], Sequence[float]]


@dataclass(frozen=True)
class Online:
    """A row is a mapping of features by name, without those that are missing; whole numbers are whole."""

    answers: Sequence[Answer]
    names: Sequence[str]
    whole: Sequence[bool]
    model: Any
    content: bytes

    def predict(self, rows: Matrix) -> Matrix:
        """Raises Invalid for rows that the model refuses by ValueError or TypeError."""
        try:
            found = [[number for answer in self.answers for number in answer(row)] for row in self._mappings(rows)]
        except (ValueError, TypeError) as error:
            raise not_taken(rows, error) from error
        made: Matrix = np.array(found, np.float64)
        return made

    def learn(self, state: bytes, rows: Matrix) -> tuple[bytes, Seen]:
        """As `engine.runtime.Learner` says it."""
        truths = [Truth(label, amount) for label, amount in rows[:, -2:].tolist()]
        return learned(self.model, state or self.content, self._mappings(rows[:, :-2]), truths)

    def _mappings(self, rows: Matrix) -> list[Features]:
        return [
            {
                name: int(value) if whole else value
                for name, value, whole in zip(self.names, row, self.whole, strict=True)
                if value == value
            }
            for row in rows.tolist()
        ]


class RiverRuntime:
    """The adapter for flavor "river"."""

    def load(self, content: bytes, signature: Signature, approved: bool) -> Online:
        if not approved:
            raise NeedsApproval(f"the model file is a pickle, and {HOW}")
        try:
            model = cloudpickle.loads(content)
        except Exception as error:  # whatever the classes in the file raise
            raise NotAllowed(f"the model file cannot be read as a pickle: {first_line(error)}") from error
        if not callable(getattr(model, "predict_one", None)):
            raise NotAllowed(f"the model file holds a {type(model).__name__}, which is no model of river")
        whole = [not spec.datatype.startswith("FP") for spec in signature.inputs for _ in range(spec.width)]
        answers = [_answer(model, spec) for spec in signature.outputs]
        made = Online(answers, signature.features, whole, model, content)
        try:
            found = made.predict(np.zeros((1, len(signature.features)), np.float64))
        except Exception as error:  # whatever the model raises
            raise NotAllowed(f"the model file does not answer a row of zeros: {first_line(error)}") from error
        check_width(found.shape[1], signature)
        return made


def _answer(model: Any, spec: TensorSpec) -> Answer:
    """Probabilities where the output is of floats and the model has them, else what it predicts."""
    if spec.datatype.startswith("FP") and isinstance(last_step(model), base.Classifier):
        return lambda row: _probabilities(model.predict_proba_one(row), spec)
    return lambda row: [_number(model.predict_one(row), spec)]


def _probabilities(by_class: Mapping[Any, float], spec: TensorSpec) -> list[float]:
    """In the order of the classes; of two, one float is the second's."""
    found = [float(by_class[label]) for label in sorted(by_class)]
    if spec.width == 1 and len(found) == 2:
        return found[1:]
    if len(found) != spec.width:
        raise WrongAnswer(f"it knows {len(found)} classes so far, {spec.name!r} has {spec.width}")
    return found


def _number(found: Any, spec: TensorSpec) -> float:
    if not isinstance(found, (bool, int, float, np.number)) or (
        isinstance(found, (float, np.floating)) and not spec.datatype.startswith("FP")
    ):
        raise WrongAnswer(f"it answers {spec.name!r} with {found!r}, which is no {spec.datatype}")
    return float(found)


def runtime(_threads: int) -> RiverRuntime:
    """river computes in one thread."""
    return RiverRuntime()
