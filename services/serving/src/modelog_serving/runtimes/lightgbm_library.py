"""LightGBM's C interface, as far as predicting needs it.

The Python package imports scipy and, where they are installed, pandas, pyarrow and scikit-learn.
https://lightgbm.readthedocs.io/en/stable/C-API.html
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelog_serving.engine.runtime import Matrix
from modelog_serving.runtimes.shared_library import library_of

_FLOAT32, _FLOAT64 = 0, 1
_ROW_MAJOR, _NORMAL, _CONTRIBUTIONS, _FIRST, _ALL = 1, 0, 3, 0, -1
_LONGEST_NAME = 1000
_LIBRARIES = ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll")


class LightGBMFailed(Exception):
    """The library refused; the text is its own."""


class Booster:
    """A model in the library's memory. Predicting is safe from several threads: the library locks what it must."""

    def __init__(self, content: bytes, threads: int) -> None:
        """Raises LightGBMFailed when the text is no model."""
        self._library = _library()
        self._handle = ctypes.c_void_p()
        self._parameters = f"num_threads={threads} verbosity=-1".encode()
        iterations = ctypes.c_int()
        self._do("LGBM_BoosterLoadModelFromString", content, ctypes.byref(iterations), ctypes.byref(self._handle))
        self._classes = self._number("LGBM_BoosterGetNumClasses")

    def features(self) -> int:
        """How many features a row has."""
        return self._number("LGBM_BoosterGetNumFeature")

    def feature_names(self) -> list[str]:
        """The features' names in order."""
        wanted = self.features()
        buffers = [ctypes.create_string_buffer(_LONGEST_NAME) for _ in range(wanted)]
        names = (ctypes.c_char_p * wanted)(*[ctypes.cast(buffer, ctypes.c_char_p) for buffer in buffers])
        count, longest = ctypes.c_int(), ctypes.c_size_t()
        self._do(
            "LGBM_BoosterGetFeatureNames",
            self._handle,
            ctypes.c_int(wanted),
            ctypes.byref(count),
            ctypes.c_size_t(_LONGEST_NAME),
            ctypes.byref(longest),
            names,
        )
        return [buffer.value.decode(errors="replace") for buffer in buffers]

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Answer (rows, features) float32 or float64 with (rows, outputs) float64."""
        return self._answered(rows, _NORMAL, self._classes)

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Answer (rows, features) with (rows, outputs * (features + 1)), the base after the features of each output."""
        return self._answered(rows, _CONTRIBUTIONS, self._classes * (rows.shape[1] + 1))

    def _answered(self, rows: Matrix, kind: int, width: int) -> NDArray[np.float64]:
        data = np.ascontiguousarray(rows)
        answers = np.empty((len(data), width), np.float64)
        length = ctypes.c_int64()
        self._do(
            "LGBM_BoosterPredictForMat",
            self._handle,
            ctypes.c_void_p(data.ctypes.data),
            ctypes.c_int(_FLOAT32 if data.dtype == np.float32 else _FLOAT64),
            ctypes.c_int32(data.shape[0]),
            ctypes.c_int32(data.shape[1]),
            ctypes.c_int(_ROW_MAJOR),
            ctypes.c_int(kind),
            ctypes.c_int(_FIRST),
            ctypes.c_int(_ALL),
            self._parameters,
            ctypes.byref(length),
            ctypes.c_void_p(answers.ctypes.data),
        )
        return answers

    def _number(self, function: str) -> int:
        found = ctypes.c_int()
        self._do(function, self._handle, ctypes.byref(found))
        return found.value

    def _do(self, function: str, *arguments: Any) -> None:
        if getattr(self._library, function)(*arguments) != 0:
            raise LightGBMFailed(self._library.LGBM_GetLastError().decode(errors="replace"))

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.LGBM_BoosterFree(self._handle)


@cache
def _library() -> ctypes.CDLL:
    return library_of("lightgbm", _LIBRARIES, "LGBM_GetLastError", "lightgbm again")
