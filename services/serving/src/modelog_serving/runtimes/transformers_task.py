"""Which task a pipeline of transformers has, and how what it answers becomes a row of the signature's outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import TEXT, TensorSpec

CLASSIFICATION, FEATURES, FILL_MASK, GENERATION = (
    "text-classification", "feature-extraction", "fill-mask", "text-generation",
)  # fmt: skip
Cells = Sequence[str | float]


@dataclass(frozen=True)
class Task:
    """`loader` is the class of transformers that reads the model, `asked` what the pipeline is asked with; `text` and
    `number` are the answer's own names for what a text and a number are made of."""

    name: str
    loader: str
    asked: dict[str, Any] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    takes_pairs: bool = False

    def cells(self, pipeline: Any, outputs: Sequence[TensorSpec]) -> Callable[[Any], Cells]:
        """What makes a row of an answer; raises NotAllowed for outputs that this task has not."""
        if self.name == FEATURES:
            return self._vector(outputs)
        if self.name == CLASSIFICATION and len(outputs) == 1 and outputs[0].width > 1:
            return self._scores(pipeline, outputs)
        keys = [self._key(spec, alone=len(outputs) == 1) for spec in outputs]
        return lambda answer: [_plain(_first(answer)[key]) for key in keys]

    def _key(self, spec: TensorSpec, *, alone: bool) -> str:
        """By the signature's name or, where it is the only output, whatever its name."""
        known = self.texts if spec.datatype == TEXT else self.numbers if spec.datatype in ("FP32", "FP64") else ()
        if spec.width == 1 and spec.name in known:
            return spec.name
        if spec.width == 1 and alone and known:
            return known[0]
        raise self._other(spec)

    def _vector(self, outputs: Sequence[TensorSpec]) -> Callable[[Any], Cells]:
        if len(outputs) != 1 or outputs[0].datatype not in ("FP32", "FP64"):
            raise self._other(outputs[0])
        # Of the tokens' vectors, (1, tokens, width), the mean.
        return lambda answer: np.asarray(answer[0], np.float32).mean(axis=0, dtype=np.float64).tolist()

    def _scores(self, pipeline: Any, outputs: Sequence[TensorSpec]) -> Callable[[Any], Cells]:
        """One for each label, in the model's order, where the signature is as wide."""
        if outputs[0].datatype not in ("FP32", "FP64"):
            raise self._other(outputs[0])
        names = [pipeline.model.config.id2label[number] for number in range(pipeline.model.config.num_labels)]

        def scores(answer: Any) -> Cells:
            found = {each["label"]: each["score"] for each in _all(answer)}
            return [found[name] for name in names]

        return scores

    def _other(self, spec: TensorSpec) -> NotAllowed:
        able = [f"{name!r} of {TEXT}" for name in self.texts] + [f"{name!r} of FP32 or FP64" for name in self.numbers]
        if self.name == CLASSIFICATION:
            able.append("one output of FP32 or FP64 as wide as there are labels")
        if self.name == FEATURES:
            able.append("one output of FP32 or FP64, the mean of the tokens' vectors")
        return NotAllowed(
            f"the model file is of the task {self.name!r}, its signature names the output {spec.name!r} of "
            f"{spec.datatype} and width {spec.width}; there is {', '.join(able)}"
        )


# By what the names of architectures end with; the first that fits.
TASKS = {
    "ForSequenceClassification": Task(
        CLASSIFICATION, "AutoModelForSequenceClassification", {"top_k": None}, ("label",), ("score",), takes_pairs=True
    ),
    "ForMaskedLM": Task(
        FILL_MASK, "AutoModelForMaskedLM", {"top_k": 1}, ("token_str", "sequence"), ("score",)
    ),
    # Without chance, so that the same request has the same answer.
    "ForCausalLM": Task(GENERATION, "AutoModelForCausalLM", {"do_sample": False}, ("generated_text",)),
    "LMHeadModel": Task(GENERATION, "AutoModelForCausalLM", {"do_sample": False}, ("generated_text",)),
    "Model": Task(FEATURES, "AutoModel"),
}  # fmt: skip


def task_of(config: Any) -> Task:
    """By the architecture that the folder names; raises NotAllowed."""
    named = [str(name) for name in getattr(config, "architectures", None) or ()]
    for name in named:
        for end, task in TASKS.items():
            if name.endswith(end):
                return task
    raise NotAllowed(
        f"the model file is of the architecture {', '.join(named) or 'none'}; served are those that end with "
        f"{', '.join(TASKS)}"
    )


def _all(answer: Any) -> list[dict[str, Any]]:
    """Of one text, whether the pipeline puts a list around its answer or not."""
    while isinstance(answer, list) and answer and isinstance(answer[0], list):
        (answer,) = answer
    found: list[dict[str, Any]] = answer if isinstance(answer, list) else [answer]
    return found


def _first(answer: Any) -> dict[str, Any]:
    """The likeliest."""
    return _all(answer)[0]


def _plain(value: Any) -> str | float:
    return value if isinstance(value, str) else float(value)
