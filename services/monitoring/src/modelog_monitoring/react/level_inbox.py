"""What other services told of traffic and of targets: windows wait here until they are held against the targets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
from modelog_common.bus.inbox_file import InboxFile
from modelog_common.events.store import StoredEvent

from modelog_monitoring.level.commands import Requests
from modelog_monitoring.level.events import Targets

CONSUMER = "monitoring.levels"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS targets (
  tenant TEXT NOT NULL, model TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (tenant, model, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS traffic (position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body BLOB NOT NULL);
"""


class _SlaTargets(msgspec.Struct):
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    availability_percent: float | None = None


class _SlaSet(msgspec.Struct):
    model: str
    number: int
    targets: _SlaTargets


class _ModelRenamed(msgspec.Struct):
    old_name: str
    name: str


class Traffic(msgspec.Struct):
    """The window of serving.TrafficMeasured."""

    name: str
    model: str
    start: datetime
    end: datetime
    versions: tuple[Requests, ...]


@dataclass(frozen=True)
class Waiting:
    """A window that was not held against targets yet."""

    tenant: str
    position: int
    traffic: Traffic


class LevelInbox(InboxFile):
    """What is held against each other: targets, and windows of traffic."""

    consumer = CONSUMER
    what = "the inbox of service levels"
    schema = _SCHEMA
    tables = ("targets", "traffic")

    def _keep(self, event: StoredEvent) -> bool:
        match event.type:
            case "registry.SlaSet":
                told = msgspec.json.decode(event.payload, type=_SlaSet)
                t = told.targets
                targets = Targets(told.number, t.latency_p50_ms, t.latency_p99_ms, t.availability_percent)
                row = (event.tenant, told.model, event.position, msgspec.json.encode(targets).decode())
                self._db.execute("INSERT OR REPLACE INTO targets VALUES (?, ?, ?, ?)", row)
            case "registry.ModelRenamed":
                return self._rename(event, msgspec.json.decode(event.payload, type=_ModelRenamed))
            case "serving.TrafficMeasured":
                msgspec.json.decode(event.payload, type=Traffic)
                row_of_traffic = (event.position, event.tenant, event.payload)
                self._db.execute("INSERT OR REPLACE INTO traffic VALUES (?, ?, ?)", row_of_traffic)
            case _:
                return False
        return True

    def _rename(self, event: StoredEvent, renamed: _ModelRenamed) -> bool:
        """Its targets go along; what gets the old name later has none."""
        held = self.targets(event.tenant, renamed.old_name, event.position)
        if held is None:
            return False
        for model, targets in ((renamed.name, held), (renamed.old_name, Targets(held.number, None, None, None))):
            row = (event.tenant, model, event.position, msgspec.json.encode(targets).decode())
            self._db.execute("INSERT OR REPLACE INTO targets VALUES (?, ?, ?, ?)", row)
        return True

    def next(self) -> Waiting | None:
        """The oldest window that waits, by its place in the log; None when there is none."""
        row = self._db.execute("SELECT position, tenant, body FROM traffic ORDER BY position LIMIT 1").fetchone()
        return None if row is None else Waiting(row[1], row[0], msgspec.json.decode(row[2], type=Traffic))

    def done(self, position: int) -> None:
        """Forget a window."""
        self._db.execute("DELETE FROM traffic WHERE position = ?", (position,))

    def targets(self, tenant: str, model: str, position: int) -> Targets | None:
        """The targets of a model that held at a position of the log, as far as they were told; None for none."""
        row = self._db.execute(
            "SELECT body FROM targets WHERE tenant = ? AND model = ? AND position < ? ORDER BY position DESC LIMIT 1",
            (tenant, model, position),
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Targets)
