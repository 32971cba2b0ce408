"""Stored models without a server, loaded as serving loads them: the entry point "modelog.models"."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from modelog_common.domain.errors import Invalid, NotAllowed

from modelog_serving.deployment.signature import Signature, unservable
from modelog_serving.engine.failed import ModelDied, ModelFailed
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.folder import FolderFiles
from modelog_serving.oip.tensors import dtype_of_rows
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker.limits import Limits

# A part of a batch may have many more rows than a request.
PREDICT_S = 3600.0


class OfflineModel:
    """A loaded model; `features` are the columns that it takes in order, `width` how many numbers answer a row."""

    def __init__(self, model: Model, signature: Signature) -> None:
        self._model, self._dtype = model, dtype_of_rows(signature)
        self.features, self.width = signature.features, signature.output_width

    def predict(self, rows: Matrix) -> Matrix:
        """Answer (rows, features) float64, NaN for missing, with (rows, outputs).

        Raises Invalid for rows that it cannot take, ModelDied when its process had to be replaced.
        """
        try:
            answers = self._model.predict(np.ascontiguousarray(rows, self._dtype))
        except ModelDied:
            raise
        except ModelFailed as error:
            raise Invalid.field("inputs", str(error)) from error
        if answers.shape != (len(rows), self.width):
            raise Invalid.field("inputs", f"{rows.shape} were answered with {answers.shape} numbers")
        return answers


def open_model(
    files: Path, digest: str, flavor: str, signature: Mapping[str, Any], *, approved: bool, threads: int
) -> OfflineModel:
    """Load the file with this SHA-256 from a folder of files by digest; those of its members must be there too.

    `signature` has inputs and outputs, as the contract's. Raises NotFound or NotAllowed, which say why it cannot be:
    altered, of a flavor that is not installed, or with code in it that nobody approved.
    """
    signed = msgspec.convert(signature, Signature)
    problem = unservable(signed)
    if not problem and signed.texts:
        problem = f"its signature has the texts {signed.texts!r}, and batches are of numbers"
    if problem:
        raise NotAllowed(f"the model cannot be run: {problem}")
    models = Models(FolderFiles(files), LazyRuntimes(threads, Limits(predict_s=PREDICT_S)), 1)
    return OfflineModel(asyncio.run(models.get(ModelRef(digest, flavor, signed, approved))), signed)
