"""All prediction logs of this machine's serving: this process's own, and those of its workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelog_common.domain.errors import Invalid

from modelog_serving.predlog.log import PredictionLog

# A place in one of several logs is told as one number: 2 ** 48 batches are a century of 80,000 a second.
PLACES = 48
MOST_LOGS = 1 << (63 - PLACES)


@dataclass(frozen=True)
class Logs:
    """The own log first, then those of workers by their numbers."""

    all: Sequence[PredictionLog]

    @property
    def own(self) -> PredictionLog:
        return self.all[0]

    def place(self, after: int) -> tuple[int, int]:
        """From a place that was told: which log, and after what of its batches. Raises Invalid for what was not."""
        number, sequence = after >> PLACES, after & ((1 << PLACES) - 1)
        if number >= len(self.all):
            raise Invalid.field("after", f"is {after}, which is no place in these logs; give next_after as it was told")
        return number, sequence

    def told(self, number: int, sequence: int) -> int:
        """A place that `place` understands; that of the own log is the batch's own."""
        return number << PLACES | sequence
