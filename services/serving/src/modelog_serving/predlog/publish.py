"""The prediction log as a source for the publisher: batches in order, from any place on."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.bus.envelope import LogEntry

from modelog_serving.predlog import file
from modelog_serving.predlog.bodies import Connection
from modelog_serving.predlog.log import PredictionLog

PUBLISHED_BYTES = 4_000_000
TYPE = "modelog.serving.v1.PredictionBatch"


class PredictionSource:
    """What is to be in the topics of predictions; readers count by the log's id.

    A prediction log that was restored with the platform goes on where its backup was: it is of the event log's history.
    """

    def __init__(self, log: PredictionLog, history: str) -> None:
        self._log, self.history = log, history
        self.name = f"/modelog/serving/predictions/{log.log_id}"

    async def read(self, after: int, limit: int) -> Sequence[LogEntry]:
        return await self._log.reading(lambda db: _entries(db, after, limit), whole=False)

    async def wait(self, after: int, timeout_s: float) -> None:
        await self._log.wait_beyond(after, timeout_s)

    async def head(self) -> int:
        return self._log.sequence


def _entries(db: Connection, after: int, limit: int) -> list[LogEntry]:
    """As many as there are, but no more bytes than a producer's queue takes easily."""
    entries: list[LogEntry] = []
    size = 0
    for sequence, tenant, deployment, body, _ in file.batches(
        db, "sequence > ? ORDER BY sequence LIMIT ?", (after, limit)
    ):
        headers = {
            "ce_specversion": "1.0",
            "ce_id": f"{sequence}",
            "ce_type": TYPE,
            "ce_tenant": tenant,
            "content-type": "application/protobuf",
        }
        entries.append(LogEntry(tenant, sequence, deployment.encode(), body, headers))
        size += len(body)
        if size > PUBLISHED_BYTES:
            break
    return entries
