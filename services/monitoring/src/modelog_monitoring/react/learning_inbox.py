"""What serving told of models that learn as they answer: that one stopped, or goes on; until it is passed on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
from modelog_common.bus.inbox_file import InboxFile
from modelog_common.events.store import StoredEvent

CONSUMER = "monitoring.learning"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS stopped (
  tenant TEXT NOT NULL, deployment TEXT NOT NULL, version TEXT NOT NULL, PRIMARY KEY (tenant, deployment, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (
  position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, deployment TEXT NOT NULL, stopped INTEGER NOT NULL,
  at TEXT NOT NULL, text TEXT NOT NULL
);
"""
_ON = "on"


class _LearningStopped(msgspec.Struct):
    name: str
    model: str
    version: str
    step: int
    why: str
    at: datetime


class _LearningSet(msgspec.Struct):
    name: str
    model: str
    mode: str
    by: str
    at: datetime


@dataclass(frozen=True)
class Told:
    """That a deployment's model stopped learning, or learns again; `position` is that of serving's event."""

    position: int
    tenant: str
    deployment: str
    stopped: bool
    at: datetime
    text: str


class LearningInbox(InboxFile):
    """Which versions stopped, and what people were not told of yet."""

    consumer = CONSUMER
    what = "the inbox of models that learn"
    schema = _SCHEMA
    tables = ("stopped", "told")

    def _keep(self, event: StoredEvent) -> bool:
        match event.type:
            case "serving.LearningStopped":
                self._stop(event, msgspec.json.decode(event.payload, type=_LearningStopped))
                return True
            case "serving.LearningSet":
                return self._set(event, msgspec.json.decode(event.payload, type=_LearningSet))
            case _:
                return False

    def _stop(self, event: StoredEvent, told: _LearningStopped) -> None:
        row = (event.tenant, told.name, told.version)
        self._db.execute("INSERT OR REPLACE INTO stopped VALUES (?, ?, ?)", row)
        text = f"{told.name}: {told.model} {told.version} stopped learning after step {told.step}: {told.why}"
        self._tell(event, told.name, told.at, text, stopped=True)

    def _set(self, event: StoredEvent, told: _LearningSet) -> bool:
        """Who sets it to learn has those that stopped begin again; with any other mode they are stopped no more."""
        where = "tenant = ? AND deployment = ?"
        found = self._db.execute(
            f"DELETE FROM stopped WHERE {where} RETURNING version", (event.tenant, told.name)
        ).fetchall()
        if not found or told.mode != _ON:
            return False
        versions = ", ".join(sorted(version for (version,) in found))
        text = f"{told.name}: {told.model} {versions} learns again: {told.by} set it to"
        self._tell(event, told.name, told.at, text, stopped=False)
        return True

    def _tell(self, event: StoredEvent, deployment: str, at: datetime, text: str, *, stopped: bool) -> None:
        row = (event.position, event.tenant, deployment, stopped, at.isoformat(), text)
        self._db.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?, ?)", row)

    def next(self) -> Told | None:
        """The oldest that people were not told of, by its place in the log; None when there is none."""
        row = self._db.execute("SELECT * FROM told ORDER BY position LIMIT 1").fetchone()
        if row is None:
            return None
        position, tenant, deployment, stopped, at, text = row
        return Told(position, tenant, deployment, bool(stopped), datetime.fromisoformat(at), text)

    def done(self, position: int) -> None:
        """People were told of it."""
        self._db.execute("DELETE FROM told WHERE position = ?", (position,))
