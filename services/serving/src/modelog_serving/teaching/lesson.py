"""A lesson: the labels of one step with the features of their predictions, and the file that keeps it for good.

The file is JSON in one spelling: an object with `format`, `deployment`, `version`, `feature_names`, and `rows`, each
[prediction id, label, amount, [feature, ...]]; null stands for a label or an amount that was not told, and for a
feature that was missing. Numbers are those of Python's repr, which are read back bit by bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from modelog_common.domain.errors import Invalid

from modelog_serving.engine.runtime import Matrix

FORMAT = "modelog.labels/1"
Row = tuple[str, float | None, float | None, list[float | None]]


class _File(msgspec.Struct, frozen=True):
    format: str
    deployment: str
    version: str
    feature_names: list[str]
    rows: list[Row]


@dataclass(frozen=True)
class Lesson:
    """`features` is (labels, features) float64, `labels` and `amounts` (labels,) float64; NaN is what is missing."""

    deployment: str
    version: str
    feature_names: Sequence[str]
    ids: Sequence[str]
    labels: Matrix
    amounts: Matrix
    features: Matrix

    def to_bytes(self) -> bytes:
        """The file."""
        rows: list[Row] = [
            (one, _told(label), _told(amount), [_told(value) for value in row])
            for one, label, amount, row in zip(
                self.ids, self.labels.tolist(), self.amounts.tolist(), self.features.tolist(), strict=True
            )
        ]
        return msgspec.json.encode(_File(FORMAT, self.deployment, self.version, list(self.feature_names), rows))

    def matrix(self) -> Matrix:
        """(labels, features + 2): the features, then label and amount, as a model's process takes it."""
        made: Matrix = np.column_stack([self.features, self.labels, self.amounts])
        return made


def lesson_of(content: bytes) -> Lesson:
    """From a file; raises Invalid for one that holds no lesson."""
    try:
        read = msgspec.json.decode(content, type=_File)
    except msgspec.MsgspecError as error:
        raise Invalid(f"the file holds no labels: {error}") from error
    width = len(read.feature_names)
    if read.format != FORMAT or any(len(row[3]) != width for row in read.rows):
        raise Invalid(f"the file holds no labels in the format {FORMAT}")
    return Lesson(
        read.deployment,
        read.version,
        read.feature_names,
        [row[0] for row in read.rows],
        _numbers([row[1] for row in read.rows]),
        _numbers([row[2] for row in read.rows]),
        _numbers([value for row in read.rows for value in row[3]]).reshape(-1, width),
    )


def digest_of(content: bytes) -> str:
    """The SHA-256 by which the artifact store knows a file."""
    return hashlib.sha256(content).hexdigest()


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value


def _numbers(values: Sequence[float | None]) -> Matrix:
    made: Matrix = np.array([math.nan if value is None else value for value in values], np.float64)
    return made
