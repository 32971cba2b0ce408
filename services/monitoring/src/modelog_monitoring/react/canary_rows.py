"""What a canary answered and whose outcomes are due: in the order of event time, each row once, a batch at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from modelog_monitoring.data.rows import Rows, Span, read_rows, to_micros, to_moment
from modelog_monitoring.data.store import Flow, Kind, WindowStore
from modelog_monitoring.retraining.state import Retraining

# A look is an event: at most so many, and none for less than so many rows.
LOOKS = 50
FEWEST_ROWS = 20


@dataclass(frozen=True)
class DueRows:
    """Labelled rows that the challenger answered, and the event time up to which there are none besides."""

    rows: Rows
    until: datetime


@dataclass(frozen=True)
class _Waiting:
    """A try that found too few: for which look, up to when, and how many rows it found, labelled or not."""

    number: int
    until_us: int
    rows: int


class CanaryRows:
    """Finds those that were not looked at yet.

    A row is due when its outcome has had the monitor's allowed lateness to come in: rows whose label happens to be
    known early are not like the others. One that has no label when a look passes it never counts.
    """

    def __init__(self, store: WindowStore) -> None:
        self._store = store
        self._waiting: dict[str, _Waiting] = {}

    async def due(self, tenant: str, retraining: Retraining, features: tuple[str, ...]) -> DueRows | None:
        """The rows for the next look, never more than the canary is given in all; None while they are too few."""
        return await asyncio.to_thread(self._due, tenant, retraining, features)

    def _due(self, tenant: str, retraining: Retraining, features: tuple[str, ...]) -> DueRows | None:
        terms, looked, challenger = retraining.terms, retraining.looked, retraining.challenger
        flow = Flow(Kind.PREDICTIONS, terms.deployment, tenant)
        number, seen = (1, 0) if looked is None else (looked.number + 1, looked.figures.rows)
        left = max(1, terms.canary_rows - seen)
        wanted = min(left, max(FEWEST_ROWS, terms.canary_rows // LOOKS))
        span = self._span(flow, retraining)
        if span is None:
            return None
        # Counting batches is cheap, looking for labels is not.
        waiting = self._waiting.get(terms.retraining_id)
        if waiting is None or waiting.number != number:
            waiting = _Waiting(number, span.since_us, 0)
        new = self._store.rows_between(flow, waiting.until_us, span.until_us, challenger)
        if span.until_us <= waiting.until_us or waiting.rows + new < wanted:
            return None
        rows = read_rows(self._store, flow, span, features, challenger)
        if len(rows.labelled) < wanted:
            self._waiting[terms.retraining_id] = _Waiting(number, span.until_us, len(rows))
            return None
        self._waiting.pop(terms.retraining_id, None)
        return DueRows(rows.labelled.first(left), to_moment(span.until_us))

    def _span(self, flow: Flow, retraining: Retraining) -> Span | None:
        """From where the last look ended up to where every prediction is here and its outcome has had its time."""
        lateness_us = round(retraining.terms.allowed_lateness_s * 1_000_000)
        predictions_us = self._store.watermark(flow)
        outcomes_us = self._store.watermark(Flow(Kind.OUTCOMES, flow.deployment, flow.tenant))
        if predictions_us is None or outcomes_us is None:
            return None
        looked = retraining.looked
        since_us = to_micros(retraining.terms.window_end if looked is None else looked.until)
        until_us = to_micros(to_moment(min(predictions_us, outcomes_us - lateness_us)))
        return Span(since_us, until_us, until_us + lateness_us) if until_us > since_us else None
