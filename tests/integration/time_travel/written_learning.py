"""A deployment that learned, in the log as serving writes it, for what only reads it; nothing answers by it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from modelog_serving.deployment.decide import deployment_id
from modelog_serving.events import EVENTS
from modelog_serving.learning.decide import LEARNINGS
from modelog_serving.learning.events import Labels, LearningSet, ModelLearned
from modelog_serving.learning.terms import Seen, Terms

AT = datetime(2026, 1, 2, tzinfo=UTC)
TENANT = "default"


def write(folder: Path, name: str, model: str) -> None:
    """Append to the log of a small platform, all at once: it learned once, of a version without traffic, and is off."""
    of = (deployment_id(TENANT, name), name, model)
    events = [
        LearningSet(*of, "on", Terms(), "to see", "alice", AT),
        ModelLearned(*of, "0.9.0", 1, "a" * 64, "a" * 64, "b" * 64, Labels("c" * 64, 9), Seen(9, 1.0, 2.0, 1.0), AT),
        LearningSet(*of, "off", Terms(), "seen", "alice", AT),
    ]

    async def append() -> None:
        store = await SqliteEventStore.open(folder / "data" / "events.db")
        try:
            new = [NewEvent(str(uuid4()), *EVENTS.encode(event), TENANT, "service:serving") for event in events]
            await store.append(f"{LEARNINGS.category}-{of[0]}", new)
        finally:
            await store.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, append()).result()
