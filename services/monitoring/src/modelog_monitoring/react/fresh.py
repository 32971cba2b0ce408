"""Labelled rows that a comparison waits for: those after a window, all labels in, the first so many of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from modelog_monitoring.data.rows import Rows, Span, read_rows, to_micros
from modelog_monitoring.data.store import Flow, Kind, WindowStore
from modelog_monitoring.retraining.events import RetrainingStarted


@dataclass(frozen=True)
class _Look:
    """A look that found too few: at which span, and how many rows it found, labelled or not."""

    span: Span
    rows: int


class FreshRows:
    """Finds them when they are there.

    Only event times count whose outcomes have had the monitor's allowed lateness to come in. Rows whose label happens
    to be known early are not like the others (a flight that lands soon is a short one), so a row waits until its
    neighbours' labels are due as well.
    """

    def __init__(self, store: WindowStore) -> None:
        self._store = store
        self._looks: dict[str, _Look] = {}

    async def find(self, tenant: str, terms: RetrainingStarted, wanted: int, features: tuple[str, ...]) -> Rows | None:
        """The first `wanted` labelled rows after the window; None while too few are there."""
        return await asyncio.to_thread(self._find, tenant, terms, wanted, features)

    def _find(self, tenant: str, terms: RetrainingStarted, wanted: int, features: tuple[str, ...]) -> Rows | None:
        flow = Flow(Kind.PREDICTIONS, terms.deployment, tenant)
        span = self._span(flow, terms)
        if span is None:
            return None
        key = terms.retraining_id
        if self._most(flow, span, self._looks.get(key)) < wanted:
            return None
        rows = read_rows(self._store, flow, span, features)
        labelled = rows.labelled
        if len(labelled) >= wanted:
            self._looks.pop(key, None)
            return labelled.first(wanted)
        self._looks[key] = _Look(span, len(rows))
        return None

    def _most(self, flow: Flow, span: Span, last: _Look | None) -> int:
        """How many labelled rows there can be at most: counting batches is cheap, looking for labels is not.

        All rows that the last look found may have their labels by now, and all that came since.
        """
        if last is None:
            return self._store.rows_between(flow, span.since_us, span.until_us)
        if last.span == span:
            return 0
        return last.rows + self._store.rows_between(flow, last.span.until_us, span.until_us)

    def _span(self, flow: Flow, terms: RetrainingStarted) -> Span | None:
        predictions_us = self._store.watermark(flow)
        outcomes_us = self._store.watermark(Flow(Kind.OUTCOMES, flow.deployment, flow.tenant))
        if predictions_us is None or outcomes_us is None:
            return None
        until_us = min(predictions_us, outcomes_us - round(terms.allowed_lateness_s * 1_000_000))
        since_us = to_micros(terms.window_end)
        return Span(since_us, until_us, outcomes_us) if until_us > since_us else None
