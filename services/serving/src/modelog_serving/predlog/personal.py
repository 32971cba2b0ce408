"""Texts of whom a request names as its subject: sealed with their key before they go into the log, opened where read.

A sealed text stands in the place of the text, as the JSON of `Sealed`: leaves, proofs, topics and backups are of that.
Sealing the same text again gives the same, so that requests that are sent again are known by what is sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from modelog_common.privacy.keys import SUBJECT
from modelog_common.privacy.messages import sealed_of, sealed_text
from modelog_common.privacy.subjects import Subjects
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from numpy.typing import NDArray

from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import text_columns
from modelog_serving.predlog.answers import Recorded, matrices_of

# For which field a column's text is sealed: by its name among the features, by its number among the outputs.
_FEATURE, _OUTPUT = "serving.prediction.feature.", "serving.prediction.output."
Field = Callable[[int], str]


class PersonalTexts:
    """Seals and opens the texts of predictions."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects

    async def sealed_features(self, tenant: str, subject: str, names: Sequence[str], features: Matrix) -> Matrix:
        """(rows, features) as the log is to hold them.

        Raises NotAllowed when the subject was erased, Unavailable when there is no key to be had.
        """
        return await self._sealed(tenant, subject, features, _features(names))

    async def sealed_outputs(self, tenant: str, subject: str, outputs: Matrix) -> Matrix:
        """(rows, outputs), in the same way."""
        return await self._sealed(tenant, subject, outputs, _output)

    async def outputs_of(self, recorded: Sequence[Recorded]) -> Matrix:
        """(answers, outputs) of answers that the log holds; "[erased]" for what cannot be read any more."""
        outputs = np.stack([one.outputs for one in recorded])
        return (await self._opened(outputs, _output))[0] if recorded[0].sealed else outputs

    async def opened(self, found: Recorded) -> Recorded:
        """An answer of the log with its texts, "[erased]" for those that cannot be read any more."""
        if not found.sealed:
            return found
        features, _ = await self._opened(found.features[None, :], _features(found.feature_names))
        outputs, _ = await self._opened(found.outputs[None, :], _output)
        return replace(found, features=features[0], outputs=outputs[0])

    async def opened_batch(self, batch: PredictionBatch) -> tuple[Matrix, Matrix, NDArray[np.bool_]]:
        """The features and outputs of a batch of the log, and of which rows (rows,) all can be read still."""
        features, outputs = matrices_of(batch)
        if not batch.texts_sealed:
            return features, outputs, np.ones(len(features), np.bool_)
        features, there = await self._opened(features, _features(batch.feature_names))
        outputs, too = await self._opened(outputs, _output)
        return features, outputs, there & too

    async def _sealed(self, tenant: str, subject: str, matrix: Matrix, field: Field) -> Matrix:
        columns = text_columns(matrix)
        if not columns:
            return matrix
        texts = [(field(column), text) for column in columns for text in matrix[:, column].tolist()]
        sealed = await self._subjects.seal_all(tenant, SUBJECT + subject, texts)
        return _with(matrix, columns, [sealed_text(one) for one in sealed])

    async def _opened(self, matrix: Matrix, field: Field) -> tuple[Matrix, NDArray[np.bool_]]:
        columns = text_columns(matrix)
        sealed = [(field(column), sealed_of(text)) for column in columns for text in matrix[:, column].tolist()]
        opened = await self._subjects.opened(sealed)
        gone = np.array([one.is_gone for one in opened], np.bool_).reshape(len(columns), len(matrix))
        return _with(matrix, columns, [one.text for one in opened]), ~np.logical_or.reduce(gone, axis=0)


def _features(names: Sequence[str]) -> Field:
    return lambda column: _FEATURE + names[column]


def _output(column: int) -> str:
    return f"{_OUTPUT}{column}"


def _with(matrix: Matrix, columns: Sequence[int], texts: Sequence[str]) -> Matrix:
    """The matrix with other texts in its columns of texts, column by column."""
    made: Matrix = matrix.copy()
    for number, column in enumerate(columns):
        made[:, column] = texts[number * len(matrix) : (number + 1) * len(matrix)]
    return made
