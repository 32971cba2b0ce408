"""Answers that wait to be put into the prediction log's file: no more than memory may hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelog_serving.engine.texts import size_bytes
from modelog_serving.predlog.answers import Answers
from modelog_serving.predlog.writer import Outcome

# What may wait to be written: a disk that is slow or hangs must not fill the memory.
MOST_WAITING_BYTES = 64 << 20
# What a row takes besides its numbers.
ROW_BYTES = 200
Done = Callable[[Outcome | BaseException], None]


@dataclass(frozen=True)
class Append:
    """Answers, and who is to be told what became of them."""

    answers: Answers
    done: Done

    @property
    def size_bytes(self) -> int:
        return size_bytes(self.answers.features) + size_bytes(self.answers.outputs) + ROW_BYTES * len(self.answers.ids)


class Waiting:
    """Those that came since the last were cut count, and those that were cut until they are told."""

    def __init__(self) -> None:
        self._appends: list[Append] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._appends)

    def take(self, answers: Answers, done: Done) -> bool:
        """False when too much waits already."""
        append = Append(answers, done)
        if self._bytes and self._bytes + append.size_bytes > MOST_WAITING_BYTES:
            return False
        self._bytes += append.size_bytes
        self._appends.append(append)
        return True

    def cut(self) -> Sequence[Append]:
        """All that came; `tell` them in the end."""
        appends, self._appends = self._appends, []
        return appends

    def tell(self, appends: Sequence[Append], outcomes: Sequence[Outcome | BaseException]) -> None:
        """Each its own."""
        for append, outcome in zip(appends, outcomes, strict=True):
            self._bytes -= append.size_bytes
            append.done(outcome)
