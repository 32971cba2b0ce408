"""The port to the libraries that run models, and what a loaded model is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelog_serving.deployment.signature import Signature

Matrix = NDArray[np.float32]
AnyArray = NDArray[Any]


class Model(Protocol):
    """A model in memory. `predict` may be called from several threads at once."""

    def predict(self, rows: Matrix) -> Matrix:
        """Answer (rows, features) float32 with (rows, outputs) float32; NaN stands for a missing value."""
        ...


class Runtime(Protocol):
    """Runs the models of one flavor."""

    @property
    def flavor(self) -> str:
        """The flavor as the registry names it, such as "xgboost"."""
        ...

    def load(self, content: bytes, signature: Signature) -> Model:
        """Read a model file's bytes; raises NotAllowed when it is broken or does not fit the signature."""
        ...
