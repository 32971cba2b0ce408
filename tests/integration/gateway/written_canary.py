"""A retraining in the log as monitoring writes it, for what only reads it: its canary as far as the looks go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from modelog_monitoring.events import EVENTS
from modelog_monitoring.policy.events import CanaryTest
from modelog_monitoring.retraining.events import (
    CanaryFigures,
    CanaryLooked,
    CanaryStarted,
    CanaryVerdict,
    ChallengerEvaluated,
    ChallengerTrained,
    Comparison,
    Difference,
    RetrainingStarted,
    TrainingSet,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
COMPARED = Comparison(
    10_000, Difference(0.71, 0.76, 0.05, 0.041, 0.059, 1e-27), Difference(0.5, 0.47, -0.03, -0.035, -0.025, 1e-30),
    AT, AT,
)  # fmt: skip


def begun(retraining_id: str, model: str, deployment: str) -> list[Any]:
    """Up to its canary."""
    return [
        RetrainingStarted(
            retraining_id, "monthly", "watch", "w", "2026-01", AT, model, deployment, "1.0.0", "job",
            TrainingSet("flights", (1,)), 10_000, 10.0, 500, 0.0, AT, CanaryTest(0.05, 0.005),
        ),
        ChallengerTrained(retraining_id, "job", "1.1.0", AT),
        ChallengerEvaluated(retraining_id, COMPARED, True, "better on 10000 fresh rows", AT),
        CanaryStarted(retraining_id, deployment, "1.1.0", 10.0, "bob", AT),
    ]  # fmt: skip


def looked(retraining_id: str, number: int, verdict: CanaryVerdict = CanaryVerdict.UNDECIDED) -> CanaryLooked:
    """Each look of 50 rows more brings the bounds closer."""
    half = 0.1 / number
    figures = CanaryFigures(50 * number, 0.16, 0.152, 0.008 - half, 0.008 + half, (0.4 * number, 0.5, 0.01, 0.01))
    return CanaryLooked(retraining_id, number, AT + timedelta(days=number), figures, verdict, AT)


def write(folder: Path, retraining_id: str, events: Sequence[Any]) -> None:
    """Append to the log of a small platform, all at once: nobody sees it half."""

    async def append() -> None:
        store = await SqliteEventStore.open(folder / "data" / "events.db")
        try:
            new = [NewEvent(str(uuid4()), *EVENTS.encode(event), "default", "service:monitoring") for event in events]
            await store.append(f"monitoring.retraining-{retraining_id}", new)
        finally:
            await store.close()

    # In a thread of its own: Playwright's event loop may run in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, append()).result()
