"""Keeps the prediction logs of this machine: seals them, publishes them, and drops what need not be held any more."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.bus.publisher import LogPublisher
from modelog_common.bus.topics import PREDICTIONS
from modelog_common.domain.errors import Unavailable
from modelog_common.events.entities import Entities
from modelog_common.lockfile import LockHeld, take_lock
from modelog_common.service import LOCK_FILE, LOCK_TIMEOUT_S, Host

from modelog_serving.events import EVENTS
from modelog_serving.predlog.evidence import Evidence, Sealed
from modelog_serving.predlog.followed import LOG_FILE, FollowedLog, worker_logs
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.logs import Logs
from modelog_serving.predlog.publish import PredictionSource
from modelog_serving.predlog.retention import Retention
from modelog_serving.predlog.seal import Sealer
from modelog_serving.segment.decide import SEGMENTS
from modelog_serving.settings import ServingSettings

# Batches are large: so many are published at once.
PUBLISHED_BATCHES = 500
Published = Callable[[], int]


@dataclass(frozen=True)
class KeptLogs:
    """The logs, each of which may take `most_bytes` (0 for any), in the order of their `paths`."""

    logs: Logs
    paths: Sequence[Path]
    sealed: Sequence[Sealed]
    published: Sequence[Published]
    own: ServingSettings
    most_bytes: int

    @property
    def evidence(self) -> Evidence:
        """What they hold and vouch for."""
        return Evidence(self.sealed)

    def published_of(self, path: str) -> Published:
        """How far the log of this path was published."""
        return self.published[[str(known) for known in self.paths].index(path)]

    def look_after(self, host: Host) -> None:
        """Seal them, and drop what is old or in the way."""
        for sealed, published in zip(self.sealed, self.published, strict=True):
            log = sealed.log
            of = "" if log is self.logs.own else f" of {log.path.parent.name}"
            if isinstance(log, FollowedLog):
                host.background(f"predictions{of}", log.run)
            host.background(f"prediction sealer{of}", sealed.sealer.run)
            retention = Retention(log, published, host.clock, self.own.log_keep_s, self.most_bytes)
            host.background(f"prediction retention{of}", retention.run)


async def keep_logs(host: Host, own: ServingSettings) -> KeptLogs:
    """Open this process's own log and those of all workers that there are or were, and publish them.

    Raises Unavailable when one cannot be used.
    """
    paths = [host.data_dir / LOG_FILE, *worker_logs(host.data_dir, own.crew())]
    most_bytes = own.log_max_bytes // (1 + own.crew()) if own.log_max_bytes else 0
    for path in paths[1 + own.crew() :]:
        await _recovered(path, host)
    logs: list[PredictionLog] = [await PredictionLog.open(paths[0], host.clock, most_bytes)]
    logs += [await FollowedLog.open(path, host.clock, most_bytes) for path in paths[1:]]
    sealed = [Sealed(log, _sealer(host, log, own, most_bytes)) for log in logs]
    return KeptLogs(Logs(logs), paths, sealed, [_publisher(host, log) for log in logs], own, most_bytes)


async def _recovered(path: Path, host: Host) -> None:
    """Put what a worker left in its journal into its file, where none begins anew that would do it itself."""
    folder = path.parent / "serving"
    try:
        folder.mkdir(exist_ok=True)
        held = await asyncio.to_thread(take_lock, folder / LOCK_FILE, LOCK_TIMEOUT_S)
    except LockHeld as error:
        raise Unavailable(f"{folder} is in use by a worker of serving (process {error.holder}); stop it") from None
    try:
        await (await PredictionLog.open(path, host.clock)).close()
    finally:
        os.close(held)


def _sealer(host: Host, log: PredictionLog, own: ServingSettings, log_bytes: int) -> Sealer:
    entities = Entities(host.store, SEGMENTS, EVENTS, host.snapshots)
    # Of a small log a segment is a small part, so that there is always one that can be dropped.
    most_bytes = min(own.segment_bytes, log_bytes // 16 or own.segment_bytes)
    return Sealer(log, entities, host.clock, own.segment_s, most_bytes)


def _publisher(host: Host, log: PredictionLog) -> Published:
    """Publishes a log; gives how far it was. Without a bus nothing waits for it."""
    broker = host.data_broker
    if broker is None:
        return lambda: sys.maxsize
    # How far it was published belongs to this very log: another log's progress must not be taken for it.
    progress = SqliteRelayProgress(host.data_dir / f"published-{log.log_id}.db")
    publisher = LogPublisher(
        PredictionSource(log, host.store.history), PREDICTIONS, broker, progress, batch=PUBLISHED_BATCHES
    )
    host.stream(publisher)
    host.background(f"prediction publisher {log.log_id}", publisher.run)
    return lambda: publisher.position
