"""Stored models, loaded to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from modelog.training import StoredModel

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Predictor:
    """A loaded XGBoost model; `features` are the columns that it takes, in order."""

    name: str
    features: tuple[str, ...]
    booster: Any

    def scores(self, table: Matrix) -> npt.NDArray[np.float64]:
        """A score for each row, (rows,): the last output, of features (rows, features)."""
        found = self.booster.inplace_predict(table)
        return np.asarray(found, np.float64).reshape(len(table), -1)[:, -1]


def load(model: StoredModel) -> Predictor:
    """Load a stored version; ValueError for one that cannot be run here."""
    name = f"{model.model} {model.version}"
    if model.flavor != "xgboost":
        raise ValueError(
            f"{name} is of flavor {model.flavor!r}; what can be benchmarked, as what can be served, is xgboost"
        )
    if not model.features:
        raise ValueError(f"{name} has a signature without columns, so nobody knows which columns it takes")
    import xgboost

    booster = xgboost.Booster()
    # As bytes: a stored file has no ending that would tell its format.
    booster.load_model(bytearray(model.path.read_bytes()))
    booster.set_param({"nthread": 1})
    return Predictor(name, tuple(model.features), booster)
