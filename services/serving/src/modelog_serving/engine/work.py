"""What a batch is made of, and how it is computed; a request that a model cannot answer does not spoil its batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from modelog_common.domain.errors import Unavailable

from modelog_serving.engine.failed import HUNG, ModelFailed
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.engine.texts import size_bytes

Outcome = Matrix | Exception


class Work(Protocol):
    """Rows that wait for a model. After `take` gave some, exactly one of `answered` and `failed` is called, once."""

    @property
    def model(self) -> Model: ...

    @property
    def rows(self) -> int:
        """How many rows it has at most."""
        ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def requests(self) -> int:
        """For how many requests it stands."""
        ...

    def take(self) -> Matrix | None:
        """(rows, features) to be computed now; None when nobody waits for them any more."""
        ...

    def answered(self, outputs: Matrix) -> None:
        """(rows, outputs) for what `take` gave. Must not raise."""
        ...

    def failed(self, error: Exception) -> None:
        """Must not raise."""
        ...


class One:
    """The rows of one request, which somebody awaits."""

    requests = 1

    def __init__(self, model: Model, rows: Matrix, answer: asyncio.Future[Matrix]) -> None:
        self.model, self._rows, self.answer = model, rows, answer
        self.rows, self.size_bytes = len(rows), size_bytes(rows)

    def take(self) -> Matrix | None:
        return None if self.answer.done() else self._rows

    def answered(self, outputs: Matrix) -> None:
        if not self.answer.done():
            self.answer.set_result(outputs)

    def failed(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


def outcomes(model: Model, parts: Sequence[Matrix], most_rows: int) -> list[Outcome]:
    """What a model makes of each part: of all at once, or of each by itself if they cannot be computed at once."""
    try:
        if len(parts) == 1:
            return [whole(model, parts[0], most_rows)]
        answers = whole(model, np.concatenate(parts), most_rows)
    except Exception as error:
        if len(parts) == 1 or _each_would(error):
            return [error] * len(parts)
        return [outcomes(model, [part], most_rows)[0] for part in parts]
    found: list[Outcome] = []
    start = 0
    for part in parts:
        found.append(answers[start : start + len(part)])
        start += len(part)
    return found


def _each_would(error: Exception) -> bool:
    """Whether each part by itself would end in the same way, after as long."""
    return isinstance(error, ModelFailed) and error.cause == HUNG


def whole(model: Model, rows: Matrix, most_rows: int) -> Matrix:
    """What a model answers to all of the rows, asked at most so many at a time."""
    if len(rows) <= most_rows:
        answers = model.predict(rows)
    else:
        answers = np.concatenate([model.predict(rows[at : at + most_rows]) for at in range(0, len(rows), most_rows)])
    if len(answers) != len(rows):
        raise Unavailable(f"the model answered {len(answers)} rows where {len(rows)} were asked for")
    return answers
