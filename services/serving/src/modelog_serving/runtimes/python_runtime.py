"""Runs Python functions: a callable, or what has `predict`, in a file of cloudpickle, of approved versions only."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import cloudpickle
import numpy as np
from modelog_common.domain.errors import NotAllowed
from numpy.typing import NDArray

from modelog_serving.deployment.signature import TEXT, Signature, TensorSpec
from modelog_serving.engine.failed import NeedsApproval, NoRuntime
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.engine.texts import together
from modelog_serving.runtimes.feeds import WrongAnswer, first_line
from modelog_serving.runtimes.fitting import check_width
from modelog_serving.runtimes.folder import ZIP, the_one_with, unpacked
from modelog_serving.runtimes.table import Table, not_taken

_KEPT = ExitStack()
HOW = "reading a pickle runs the code in it: have the version approved by somebody else and promoted to staging"


@dataclass(frozen=True)
class Function:
    """`call` takes an array of (rows, features), or a table of pandas where the signature names columns.

    Texts are str.
    """

    call: Callable[[Any], Any]
    table: Table
    outputs: Sequence[TensorSpec]

    def predict(self, rows: Matrix) -> Matrix:
        """Raises Invalid for rows that the function refuses by ValueError or TypeError."""
        try:
            found = self.call(self.table.of(rows))
        except (ValueError, TypeError) as error:
            raise not_taken(rows, error) from error
        return _joined(found, self.outputs, len(rows))


class PythonRuntime:
    """The adapter for flavor "python_function"."""

    def load(self, content: bytes, signature: Signature, approved: bool) -> Function:
        if not approved:
            raise NeedsApproval(f"the model file is a pickle, and {HOW}")
        call = _of_mlflow(content) if content.startswith(ZIP) else _call_in(content)
        made = Function(call, Table.of_signature(signature), signature.outputs)
        try:
            found = made.predict(sample_of(signature))
        except Exception as error:  # whatever the function raises
            what = "empty texts and zeros" if signature.texts else "zeros"
            raise NotAllowed(f"the model file does not answer a row of {what}: {first_line(error)}") from error
        check_width(found.shape[1], signature)
        return made


def sample_of(signature: Signature) -> Matrix:
    """A row of zeros, and of empty texts where the signature has texts."""
    zeros = np.zeros((1, len(signature.features)), np.float32)
    kinds = [spec.datatype == TEXT for spec in signature.inputs for _ in range(spec.width)]
    places = [number for number, is_text in enumerate(kinds) if is_text]
    return together(zeros, places, [""] * len(places))


def _of_mlflow(content: bytes) -> Callable[[Any], Any]:
    """A folder that MLflow wrote, read by MLflow itself: whatever flavors it has, and with all of its files."""
    try:
        import mlflow.pyfunc
    except ImportError as error:
        raise NoRuntime(
            "the model file is a folder as MLflow writes it, which needs mlflow: pip install mlflow-skinny, and start "
            "this server again"
        ) from error
    # The model may come back to its files: they are there as long as the process is.
    folder = _KEPT.enter_context(unpacked(content))
    try:
        model = mlflow.pyfunc.load_model(str(the_one_with(folder, "MLmodel")))
    except NotAllowed:
        raise
    except Exception as error:  # whatever the flavor's library raises
        raise NotAllowed(f"the model file cannot be loaded by MLflow: {first_line(error)}") from error
    predict: Callable[[Any], Any] = model.predict
    return predict


def _call_in(content: bytes) -> Callable[[Any], Any]:
    try:
        found = cloudpickle.loads(content)
    except ModuleNotFoundError as error:
        raise NotAllowed(f"the model file needs the package {error.name!r}, which this server does not have") from error
    except Exception as error:  # whatever the classes in the file raise
        raise NotAllowed(f"the model file cannot be read as a pickle: {first_line(error)}") from error
    predict = getattr(found, "predict", None)
    if callable(predict):
        # MLflow's PythonModel: its context, which tells of other files, is not there.
        wants_context = "context" in inspect.signature(predict).parameters
        return (lambda table: predict(None, table)) if wants_context else predict
    if callable(found):
        return found  # type: ignore[no-any-return]
    raise NotAllowed(f"the model file holds a {type(found).__name__}, which cannot be called")


def _joined(found: Any, outputs: Sequence[TensorSpec], rows: int) -> Matrix:
    """Outputs by name, as a mapping or a table of pandas, or all as one array, become (rows, numbers)."""
    named = hasattr(found, "keys") and all(spec.name in found for spec in outputs)
    parts = [np.asarray(found[spec.name]) for spec in outputs] if named else [np.asarray(found)]
    datatypes = [spec.datatype for spec in outputs] if named or len(outputs) == 1 else ["FP64"]
    if any(spec.datatype == TEXT for spec in outputs):
        return _with_texts(parts, outputs, rows)
    for part, datatype in zip(parts, datatypes, strict=True):
        cut = part.dtype.kind == "f" and not datatype.startswith("FP")
        if part.shape[:1] != (rows,) or part.dtype.kind not in "fiub" or cut:
            shape = f"{part.dtype} of shape {list(part.shape)}"
            raise WrongAnswer(f"it answered {rows} rows with {shape}, which is no {datatype} for each row")
    flat = [part.reshape(rows, -1) for part in parts]
    if len(flat) == 1 and flat[0].dtype in (np.float32, np.float64):
        return flat[0]
    whole: NDArray[np.float64] = np.concatenate(flat, axis=1, dtype=np.float64)
    return whole


def _with_texts(parts: Sequence[AnyArray], outputs: Sequence[TensorSpec], rows: int) -> Matrix:
    """Numbers and texts, in the outputs' order."""
    made: list[AnyArray] = []
    for part, spec in zip(parts, outputs, strict=False):
        cells = part.astype(object)
        is_text = spec.datatype == TEXT
        fits = all(isinstance(cell, str) for cell in cells.ravel()) if is_text else part.dtype.kind in "fiub"
        cut = not is_text and part.dtype.kind == "f" and not spec.datatype.startswith("FP")
        if part.shape[:1] != (rows,) or not fits or cut or len(parts) < len(outputs):
            shape = f"{part.dtype} of shape {list(part.shape)}"
            raise WrongAnswer(
                f"it answered {spec.name!r} of {rows} rows with {shape}, which is no {spec.datatype} for each"
            )
        made.append(cells.reshape(rows, -1))
    found: Matrix = np.concatenate(made, axis=1)
    return found


def runtime(_threads: int) -> PythonRuntime:
    """A function uses as many threads as it likes."""
    return PythonRuntime()
