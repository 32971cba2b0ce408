"""Runs pipelines of Hugging Face's transformers, as one zip or tar file of their folder: texts in, labels, scores,
vectors or texts out.

Weights are of safetensors, which are numbers and nothing else; those of PyTorch's own format are pickles, and are read
of approved versions only. Code that a folder brings along never runs.
https://huggingface.co/docs/transformers/main_classes/pipelines
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from modelog_common.domain.errors import Invalid, NotAllowed

from modelog_serving.deployment.signature import TEXT, Signature
from modelog_serving.engine.failed import NeedsApproval
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.engine.texts import OBJECT
from modelog_serving.runtimes.feeds import WrongAnswer, first_line
from modelog_serving.runtimes.folder import the_one_with, unpacked
from modelog_serving.runtimes.torch_device import TorchDevice
from modelog_serving.runtimes.transformers_task import FEATURES, FILL_MASK, Task, task_of
from modelog_serving.worker.limits import CPU, Device

HOW = (
    "save it with save_pretrained(FOLDER, safe_serialization=True), which needs no approval; or have the version "
    "approved by somebody else and promoted to staging, for then its file may run code"
)
PICKLES = frozenset((".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"))
PAIR = ("text", "text_pair")
# Where MLflow puts what stands beside the model.
COMPONENTS = Path("components") / "tokenizer"
# No text is longer for a model whose tokenizer says nothing: transformers' own word for it is 10^30.
UNLIMITED = 10**9


@dataclass(frozen=True)
class Texts:
    """`ask` gives what the pipeline answers to one text, or to a pair of them, and `cells` makes a row of it.

    Each text is computed by itself, so that its answer is the same to the last bit whatever it came with.
    """

    ask: Callable[[Any], Any]
    cells: Callable[[Any], Sequence[str | float]]
    tokens: Callable[[Sequence[str]], int]
    most_tokens: int
    has_texts: bool
    device: TorchDevice

    def predict(self, rows: Matrix) -> Matrix:
        """Raises Invalid for a text that is too long or refused by the pipeline, and what `TorchDevice.done` does."""
        found = [self._row(number, row) for number, row in enumerate(rows.tolist())]
        made: Matrix = np.empty((len(found), len(found[0])), OBJECT if self.has_texts else np.float32)
        for number, cells in enumerate(found):
            made[number] = cells
        return made

    def _row(self, number: int, row: Sequence[str]) -> Sequence[str | float]:
        count = self.tokens(row)
        if count > self.most_tokens:
            raise Invalid.field("inputs", f"row {number} has {count} tokens; this model takes up to {self.most_tokens}")
        try:
            return self.device.done(lambda: self._cells(row), f"a text of {count} tokens")
        except (RuntimeError, ValueError, IndexError, transformers.pipelines.PipelineException) as error:
            raise Invalid.field(
                "inputs", f"hold what this model cannot take, in row {number}: {first_line(error)}"
            ) from error

    def _cells(self, row: Sequence[str]) -> Sequence[str | float]:
        with torch.inference_mode():
            return self.cells(self.ask(row[0] if len(row) == 1 else dict(zip(PAIR, row, strict=True))))


class TransformersRuntime:
    """The adapter for flavor "transformers"; `threads` is how many threads one prediction uses on the processor."""

    def __init__(self, threads: int = 1, device: Device = CPU) -> None:
        self._device = device
        torch.set_num_threads(threads)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()

    def load(self, content: bytes, signature: Signature, approved: bool) -> Texts:
        names, device = _inputs(signature), TorchDevice(self._device)
        with unpacked(content) as top:
            pickled = sorted(file.relative_to(top) for file in top.rglob("*") if file.suffix in PICKLES)
            if pickled and not approved:
                raise NeedsApproval(
                    f"the model file holds {pickled[0].as_posix()!r}, a pickle, and reading a pickle runs the code in "
                    f"it: {HOW}"
                )
            folder = the_one_with(top, "config.json")
            pipeline, task = _pipeline(folder, approved, device)
        cells = task.cells(pipeline, signature.outputs)
        made = Texts(
            _asking(pipeline, task),
            cells,
            _counting(pipeline.tokenizer),
            _most_tokens(pipeline),
            any(spec.datatype == TEXT for spec in signature.outputs),
            device,
        )
        if len(names) > 1 and not task.takes_pairs:
            raise NotAllowed(f"the model file is of the task {task.name!r}, which takes one text, and not a pair")
        _check(made, pipeline, task, signature)
        return made


def _inputs(signature: Signature) -> list[str]:
    """One column of texts, or a pair with the pipelines' own names."""
    names = list(signature.features)
    texts = all(spec.datatype == TEXT for spec in signature.inputs)
    if not texts or len(names) > 2 or (len(names) == 2 and tuple(names) != PAIR):
        raise NotAllowed(
            f"the model file takes one text, or the pair {' and '.join(map(repr, PAIR))} ({TEXT}); its signature names "
            f"{', '.join(f'{spec.name!r} of {spec.datatype} and width {spec.width}' for spec in signature.inputs)}"
        )
    return names


def _pipeline(folder: Path, approved: bool, device: TorchDevice) -> tuple[Any, Task]:
    tokenizer = folder.parent / COMPONENTS
    # Nothing is asked of a hub, whatever the files name.
    quiet: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **quiet)
        task = task_of(config)
        model = getattr(transformers, task.loader).from_pretrained(
            folder, config=config, dtype=torch.float32, use_safetensors=None if approved else True, **quiet
        )
        words = transformers.AutoTokenizer.from_pretrained(tokenizer if tokenizer.is_dir() else folder, **quiet)
        there = device.hold(model.eval().to)
        return transformers.pipeline(task.name, model=there, tokenizer=words, device=device.at), task
    except NotAllowed:
        raise
    except Exception as error:  # whatever is in the files
        raise NotAllowed(f"the model file cannot be read as a pipeline of transformers: {first_line(error)}") from error


def _asking(pipeline: Any, task: Task) -> Callable[[Any], Any]:
    return lambda text: pipeline(text, **task.asked)


def _counting(tokenizer: Any) -> Callable[[Sequence[str]], int]:
    def count(texts: Sequence[str]) -> int:
        tokens: list[int] = tokenizer(*texts)["input_ids"]
        return len(tokens)

    return count


def _most_tokens(pipeline: Any) -> int:
    known = [pipeline.tokenizer.model_max_length, getattr(pipeline.model.config, "max_position_embeddings", None)]
    return int(min(each for each in (*known, UNLIMITED) if each))


def _check(model: Texts, pipeline: Any, task: Task, signature: Signature) -> None:
    """Raise NotAllowed unless it answers a text as the signature says."""
    text = pipeline.tokenizer.mask_token if task.name == FILL_MASK else "a text"
    row: AnyArray = np.empty((1, len(signature.features)), OBJECT)
    row[:] = text
    try:
        found = model.predict(row)
    except (Invalid, WrongAnswer) as error:
        raise NotAllowed(f"the model file does not answer the text {text!r}: {error}") from error
    if found.shape[1] != signature.output_width:
        what = "a vector of" if task.name == FEATURES else "with"
        raise NotAllowed(
            f"the model file answers {what} {found.shape[1]} numbers, its signature says {signature.output_width}"
        )


runtime = TransformersRuntime
