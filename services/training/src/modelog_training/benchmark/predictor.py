"""Stored models, loaded to predict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from modelog.training import StoredModel

Matrix = npt.NDArray[np.floating[Any]]
Answer = Callable[[Matrix], Any]
# What answers a table, and the dtype of the numbers that it takes.
Read = tuple[Answer, npt.DTypeLike]


@dataclass(frozen=True)
class Kind:
    """The package that runs a flavor, the extra that brings it, and how a file is read with it."""

    package: str
    extra: str
    read: Callable[[bytes], Read]


@dataclass(frozen=True)
class Predictor:
    """A loaded model; `features` are the columns that it takes, in order, `dtype` their numbers."""

    name: str
    features: tuple[str, ...]
    dtype: npt.DTypeLike
    answer: Answer

    def scores(self, table: Matrix) -> npt.NDArray[np.float64]:
        """A score for each row, (rows,): the last output, of features (rows, features)."""
        return np.asarray(self.answer(table), np.float64).reshape(len(table), -1)[:, -1]


def load(model: StoredModel) -> Predictor:
    """Load a stored version; ValueError for one that cannot be run here."""
    kind = kind_of(model)
    name = f"{model.model} {model.version}"
    if not model.features:
        raise ValueError(f"{name} has a signature without columns, so nobody knows which columns it takes")
    answer, dtype = kind.read(model.path.read_bytes())
    return Predictor(name, tuple(model.features), dtype, answer)


def kind_of(model: StoredModel) -> Kind:
    """What runs it; ValueError where nothing does. Scikit-learn's files may run code, so they are not read here."""
    name = f"{model.model} {model.version}"
    kind = KINDS.get(model.flavor)
    if kind is None:
        raise ValueError(f"{name} is of flavor {model.flavor!r}; what can be benchmarked is {', '.join(KINDS)}")
    if find_spec(kind.package) is None:
        raise ValueError(f"{name} needs {kind.package}: pip install 'modelog-training[{kind.extra}]'")
    return kind


def _xgboost(content: bytes) -> Read:
    import xgboost

    booster = xgboost.Booster()
    # As bytes: a stored file has no ending that would tell its format.
    booster.load_model(bytearray(content))
    booster.set_param({"nthread": 1})
    return booster.inplace_predict, np.float32


def _lightgbm(content: bytes) -> Read:
    import lightgbm

    booster = lightgbm.Booster(model_str=content.decode())
    return lambda table: booster.predict(table, num_threads=1), np.float64


def _onnx(content: bytes) -> Read:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    inputs, output = session.get_inputs(), session.get_outputs()[-1].name
    if len(inputs) != 1 or inputs[0].type not in ("tensor(float)", "tensor(double)"):
        told = ", ".join(f"{each.name} of {each.type}" for each in inputs)
        raise ValueError(f"an ONNX model is benchmarked when one tensor of floats is all that it takes, not {told}")
    name, dtype = inputs[0].name, np.float32 if inputs[0].type == "tensor(float)" else np.float64
    return lambda table: session.run([output], {name: table})[0], dtype


KINDS = {
    "xgboost": Kind("xgboost", "xgboost", _xgboost),
    "lightgbm": Kind("lightgbm", "lightgbm", _lightgbm),
    "onnx": Kind("onnxruntime", "onnx", _onnx),
}
