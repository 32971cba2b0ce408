"""What other services told of jobs and reviews, kept until a retraining asks; and which own windows were considered."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from modelog_common.bus.inbox_file import InboxFile
from modelog_common.events.store import StoredEvent

CONSUMER = "monitoring.inbox"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  tenant TEXT NOT NULL, job_id TEXT NOT NULL, version TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (tenant, job_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reviews (
  tenant TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, position INTEGER NOT NULL,
  approved INTEGER NOT NULL, reviewer TEXT NOT NULL, comment TEXT NOT NULL,
  PRIMARY KEY (tenant, model, version, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS considered (only INTEGER PRIMARY KEY CHECK (only = 1), position INTEGER NOT NULL);
"""


class _JobSucceeded(msgspec.Struct):
    job_id: str
    registered_version: str = ""


class _JobFailed(msgspec.Struct):
    job_id: str
    error: str


class _JobCancelled(msgspec.Struct):
    job_id: str
    by: str
    reason: str = ""


class _VersionReviewed(msgspec.Struct):
    model: str
    version: str
    reviewer: str
    decision: str
    comment: str = ""


class _ModelRenamed(msgspec.Struct):
    old_name: str
    name: str


@dataclass(frozen=True)
class JobResult:
    """How a job ended: the version that it registered, "" for none, or the error."""

    version: str
    error: str


@dataclass(frozen=True)
class Review:
    """The last review of a model version."""

    approved: bool
    reviewer: str
    comment: str


class Inbox(InboxFile):
    """What a retraining asks for."""

    consumer = CONSUMER
    what = "the inbox of monitoring"
    schema = _SCHEMA
    tables = ("jobs", "reviews", "considered")

    def _keep(self, event: StoredEvent) -> bool:
        match event.type:
            case "training.JobSucceeded":
                done = msgspec.json.decode(event.payload, type=_JobSucceeded)
                self._keep_job(event.tenant, done.job_id, done.registered_version, "")
            case "training.JobFailed":
                failed = msgspec.json.decode(event.payload, type=_JobFailed)
                self._keep_job(event.tenant, failed.job_id, "", failed.error or "it failed")
            case "training.JobCancelled":
                gone = msgspec.json.decode(event.payload, type=_JobCancelled)
                self._keep_job(event.tenant, gone.job_id, "", f"{gone.by} cancelled it. {gone.reason}".strip())
            case "registry.VersionReviewed":
                self._keep_review(event, msgspec.json.decode(event.payload, type=_VersionReviewed))
            case "registry.ModelRenamed":
                self._rename(event.tenant, msgspec.json.decode(event.payload, type=_ModelRenamed))
            case _:
                return False
        return True

    def _keep_job(self, tenant: str, job_id: str, version: str, error: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?)", (tenant, job_id, version, error))

    def _keep_review(self, event: StoredEvent, review: _VersionReviewed) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                event.tenant,
                review.model,
                review.version,
                event.position,
                review.decision == "approved",
                review.reviewer,
                review.comment,
            ),
        )

    def _rename(self, tenant: str, renamed: _ModelRenamed) -> None:
        """Its reviews go along: another model may get the old name."""
        self._db.execute(
            "UPDATE reviews SET model = ? WHERE tenant = ? AND model = ?", (renamed.name, tenant, renamed.old_name)
        )

    def job(self, tenant: str, job_id: str) -> JobResult | None:
        """How a job ended, None as long as that is not known."""
        row = self._db.execute(
            "SELECT version, error FROM jobs WHERE tenant = ? AND job_id = ?", (tenant, job_id)
        ).fetchone()
        return None if row is None else JobResult(*row)

    def review(self, tenant: str, model: str, version: str) -> Review | None:
        """The last review of a version, None when there is none."""
        row = self._db.execute(
            "SELECT approved, reviewer, comment FROM reviews WHERE tenant = ? AND model = ? AND version = ? "
            "ORDER BY position DESC LIMIT 1",
            (tenant, model, version),
        ).fetchone()
        return None if row is None else Review(bool(row[0]), row[1], row[2])

    @property
    def considered(self) -> int:
        """Up to which position of the own events windows were held against the policies."""
        row = self._db.execute("SELECT position FROM considered").fetchone()
        return 0 if row is None else int(row[0])

    def consider(self, position: int) -> None:
        """Everything up to this position was held against the policies."""
        self._db.execute(
            "INSERT INTO considered VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET position = excluded.position",
            (position,),
        )
