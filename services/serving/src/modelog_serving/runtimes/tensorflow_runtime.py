"""Runs TensorFlow's SavedModels, as one zip or tar file of their folder, and Keras' files; of approved versions only.

A model is a program: https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.failed import NeedsApproval
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.runtimes.feeds import Feed, feeds_of, first_line, joined
from modelog_serving.runtimes.fitting import check_width
from modelog_serving.runtimes.folder import the_one_with, unpacked
from modelog_serving.runtimes.table import not_taken

HOW = (
    "have the version approved by somebody else and promoted to staging, for then its file may run code; or convert "
    "it to ONNX, which needs no approval"
)
SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class Network:
    """`call` takes the tensors of `feeds` and answers with the signature's outputs."""

    call: Callable[[list[Any]], list[AnyArray]]
    feeds: Sequence[Feed]

    def predict(self, rows: Matrix) -> Matrix:
        """Raises Invalid for rows that the model cannot take."""
        try:
            found = self.call([tf.constant(feed.of(rows)) for feed in self.feeds])
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            raise not_taken(rows, error) from error
        return joined(found, len(rows))


class TensorFlowRuntime:
    """The adapter for flavor "tensorflow"; `threads` is how many threads one prediction uses."""

    def __init__(self, threads: int = 1) -> None:
        # Too late where TensorFlow was used before; the process of a model has not.
        with suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)

    def load(self, content: bytes, signature: Signature, approved: bool) -> Network:
        if not approved:
            raise NeedsApproval(f"the model file is a program of TensorFlow, and reading it may run code: {HOW}")
        feeds = feeds_of(signature)
        call = _of_keras(content, signature) if _is_keras(content) else _of_saved_model(content, signature, feeds)
        made = Network(call, feeds)
        try:
            width = made.predict(np.zeros((3, len(signature.features)), np.float32)).shape[1]
        except Exception as error:  # whatever the model raises
            raise NotAllowed(f"the model file does not answer rows of zeros: {first_line(error)}") from error
        check_width(width, signature)
        return made


def _is_keras(content: bytes) -> bool:
    if not content.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            return {"config.json", "model.weights.h5"} <= set(packed.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise NotAllowed(f"the model file is damaged: {error}") from error


def _of_keras(content: bytes, signature: Signature) -> Callable[[list[Any]], list[AnyArray]]:
    import keras

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(content)
        try:
            model = keras.models.load_model(file, compile=False)
        except Exception as error:  # whatever the layers in the file raise
            raise NotAllowed(f"the model file cannot be read as one of Keras: {first_line(error)}") from error

    def call(tensors: list[Any]) -> list[AnyArray]:
        found = model(tensors[0] if len(tensors) == 1 else tensors, training=False)
        return _parts(found, signature.outputs)

    return call


def _of_saved_model(
    content: bytes, signature: Signature, feeds: Sequence[Feed]
) -> Callable[[list[Any]], list[AnyArray]]:
    with unpacked(content) as folder:
        found = the_one_with(folder, SAVED_MODEL)
        try:
            model = tf.saved_model.load(str(found))
        except Exception as error:  # whatever is in the file
            raise NotAllowed(f"the model file cannot be read as a SavedModel: {first_line(error)}") from error
        serve = model.signatures.get("serving_default")
        if serve is None:
            raise NotAllowed(f"the model file has no signature 'serving_default', but {', '.join(model.signatures)}")
        names = _inputs(list(serve.structured_input_signature[1]), feeds)

    # A function does not keep the model that it is of.
    def call(tensors: list[Any], _kept: Any = model) -> list[AnyArray]:
        return _parts(serve(**dict(zip(names, tensors, strict=True))), signature.outputs)

    return call


def _inputs(known: Sequence[str], feeds: Sequence[Feed]) -> list[str]:
    """By the signature's names, or the only one there is."""
    names = [feed.name for feed in feeds]
    if set(names) == set(known):
        return names
    if len(names) == len(known) == 1:
        return list(known)
    raise NotAllowed(f"the model file takes {', '.join(sorted(known))}, its signature names {', '.join(sorted(names))}")


def _parts(found: Any, outputs: Sequence[TensorSpec]) -> list[AnyArray]:
    """A tensor, several in the signature's order, or by its names; one alone may have another name."""
    if isinstance(found, Mapping):
        names = [spec.name for spec in outputs]
        if set(names) <= set(found):
            found = [found[name] for name in names]
        elif len(found) == len(names) == 1:
            found = list(found.values())
        else:
            raise NotAllowed(
                f"the model file answers with {', '.join(sorted(found))}, its signature names {', '.join(names)}"
            )
    return [np.asarray(tensor) for tensor in (found if isinstance(found, (list, tuple)) else [found])]


runtime = TensorFlowRuntime
