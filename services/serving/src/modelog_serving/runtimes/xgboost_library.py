"""XGBoost's C interface, as far as predicting needs it.

The Python package imports pandas and scikit-learn, which cost the process seconds and over 100 MB at its start, and a
single prediction through it takes two to three times as long. https://xgboost.readthedocs.io/en/stable/c.html
"""

from __future__ import annotations

import ctypes
import json
from functools import cache
from typing import Any

import numpy as np

from modelog_serving.engine.choice import Chosen
from modelog_serving.engine.runtime import Matrix
from modelog_serving.runtimes.shared_library import library_of

# Plain values of all trees, as (rows, outputs) whatever the objective; NaN is missing.
_PREDICT = (
    b'{"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":true,"missing":NaN,"cache_id":0}'
)
# What each feature contributed to the margin, and the base: TreeSHAP.
_DENSE = b'{"missing":NaN,"nthread":1}'
_CONTRIBUTIONS = _PREDICT.replace(b'"type":0', b'"type":2')
_ROWS = '{{"data":[{},true],"shape":[{},{}],"typestr":"<f4","strides":null,"version":3}}'
_LIBRARIES = ("libxgboost.so", "libxgboost.dylib", "xgboost.dll")


class XGBoostFailed(Exception):
    """The library refused; the text is its own."""


class Booster(Chosen):
    """A model in the library's memory. Predicting is safe from several threads: results are kept for each thread."""

    def __init__(self, content: bytes, threads: int) -> None:
        """Raises XGBoostFailed when the bytes are no model in UBJSON or JSON."""
        self._library = _library()
        self._handle = ctypes.c_void_p()
        self._do("XGBoosterCreate", None, ctypes.c_uint64(0), ctypes.byref(self._handle))
        self._do("XGBoosterLoadModelFromBuffer", self._handle, content, ctypes.c_uint64(len(content)))
        self._do("XGBoosterSetParam", self._handle, b"nthread", str(threads).encode())

    def features(self) -> int:
        """How many features a row has."""
        found = ctypes.c_uint64()
        self._do("XGBoosterGetNumFeature", self._handle, ctypes.byref(found))
        return found.value

    def feature_names(self) -> list[str]:
        """The features' names in order; empty when the model was trained without."""
        count = ctypes.c_uint64()
        names = ctypes.POINTER(ctypes.c_char_p)()
        self._do("XGBoosterGetStrFeatureInfo", self._handle, b"feature_name", ctypes.byref(count), ctypes.byref(names))
        return [(names[n] or b"").decode() for n in range(count.value)]

    def objective(self) -> str:
        """What it was trained for, such as "binary:logistic"; it decides what its answers are."""
        length, text = ctypes.c_uint64(), ctypes.c_char_p()
        self._do("XGBoosterSaveJsonConfig", self._handle, ctypes.byref(length), ctypes.byref(text))
        configuration: dict[str, Any] = json.loads(text.value or b"{}")
        return str(configuration.get("learner", {}).get("objective", {}).get("name", ""))

    def document(self) -> bytes:
        """The model as JSON."""
        length, text = ctypes.c_uint64(), ctypes.POINTER(ctypes.c_char)()
        asked = b'{"format":"json"}'
        self._do("XGBoosterSaveModelToBuffer", self._handle, asked, ctypes.byref(length), ctypes.byref(text))
        return ctypes.string_at(text, length.value)

    def predict(self, rows: Matrix) -> Matrix:
        """Answer (rows, features) with (rows, outputs) float32; the library takes float32."""
        data = np.ascontiguousarray(rows, "<f4")
        result = _Result()
        self._do(
            "XGBoosterPredictFromDense",
            self._handle,
            _ROWS.format(data.ctypes.data, *data.shape).encode(),
            _PREDICT,
            None,
            *result.places,
        )
        return result.of(len(data))

    def contributions(self, rows: Matrix) -> Matrix:
        """Answer (rows, features) with (rows, outputs * (features + 1)), the base after the features of each output."""
        data = np.ascontiguousarray(rows, "<f4")
        table, result = ctypes.c_void_p(), _Result()
        told = _ROWS.format(data.ctypes.data, *data.shape).encode()
        self._do("XGDMatrixCreateFromDense", told, _DENSE, ctypes.byref(table))
        try:
            self._do("XGBoosterPredictFromDMatrix", self._handle, table, _CONTRIBUTIONS, *result.places)
            return result.of(len(data))
        finally:
            self._library.XGDMatrixFree(table)

    def _do(self, function: str, *arguments: Any) -> None:
        if getattr(self._library, function)(*arguments) != 0:
            raise XGBoostFailed(self._library.XGBGetLastError().decode(errors="replace"))

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.XGBoosterFree(self._handle)


class _Result:
    """Where the library puts what it answers; it stays there until the next call of the same thread."""

    def __init__(self) -> None:
        self._shape = ctypes.POINTER(ctypes.c_uint64)()
        self._dimensions = ctypes.c_uint64()
        self._values = ctypes.POINTER(ctypes.c_float)()
        self.places = ctypes.byref(self._shape), ctypes.byref(self._dimensions), ctypes.byref(self._values)

    def of(self, rows: int) -> Matrix:
        """As (rows, numbers)."""
        size = 1
        for n in range(self._dimensions.value):
            size *= self._shape[n]
        answers: Matrix = np.ctypeslib.as_array(self._values, (size,)).copy()
        return answers.reshape(rows, -1)


@cache
def _library() -> ctypes.CDLL:
    return library_of("xgboost", _LIBRARIES, "XGBGetLastError", "xgboost-cpu")
