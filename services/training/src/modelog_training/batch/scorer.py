"""A stored model version as what answers a batch, run by the runtimes that are installed beside this service."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import modelog
import msgspec
import numpy as np
from modelog.training import StoredModel
from modelog_common.domain.errors import Invalid

RUNTIMES = "modelog.models"


class Stored(msgspec.Struct, frozen=True):
    """All that it takes to load a version, also in another process."""

    title: str
    files: str
    digest: str
    flavor: str
    signature: dict[str, Any]
    approved: bool
    threads: int = 1

    def open(self) -> StoredScorer:
        """Load it. Raises ValueError without runtimes, and the domain error that says why it cannot be loaded."""
        found = next(iter(entry_points(group=RUNTIMES)), None)
        if found is None:
            raise ValueError(
                f"{self.title} cannot be run: there are no runtimes here; pip install 'modelog-serving[runtimes]' "
                "where the training service is"
            )
        open_model = found.load()
        return StoredScorer(
            open_model(
                Path(self.files),
                self.digest,
                self.flavor,
                self.signature,
                approved=self.approved,
                threads=self.threads,
            )
        )


class StoredScorer:
    """The port Scorer over a loaded model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.features: Sequence[str] = model.features
        self.width: int = model.width

    def score(self, rows: Any) -> Sequence[Any]:
        table = rows.fill_null(float("nan")).to_numpy()
        try:
            answers = self._model.predict(table)
        except Invalid as error:
            raise modelog.Invalid(str(error)) from error
        return [np.ascontiguousarray(answers[:, n], np.float64) for n in range(self.width)]


def stored(model: StoredModel, threads: int) -> Stored:
    """What a job was given, as what is to be loaded."""
    signature = model.signature.to_dict() if model.signature is not None else {}
    title = f"{model.model} {model.version}"
    # Files lie in a folder as ab/cd/abcd....
    return Stored(title, str(model.path.parents[2]), model.digest, model.flavor, signature, model.approved, threads)
