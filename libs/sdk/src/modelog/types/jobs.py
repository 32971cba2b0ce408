"""Jobs of training."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional

from modelog.types.artifacts import DatasetRef
from modelog.types.records import Record


class CheckResult(Record):
    dataset: str = ""
    version: int = 0
    column: str = ""
    kind: str = ""
    passed: bool = False
    detail: str = ""


class Batch(Record):
    """What a job that is a batch reads and makes; without an output_digest it has not ended."""

    source: str = ""
    query: str = ""
    source_digest: str = ""
    dataset: Optional[DatasetRef] = None
    model: str = ""
    version: str = ""
    model_digest: str = ""
    rows: int = 0
    output: str = ""
    output_digest: str = ""
    errors: int = 0


class Job(Record):
    id: str = ""
    spec: Dict[str, Any] = {}
    status: str = ""
    author: str = ""
    attempt: int = 0
    run_id: str = ""
    checks: List[CheckResult] = []
    metrics: Dict[str, float] = {}
    model_digest: str = ""
    registered_version: str = ""
    error: str = ""
    submitted_at: Optional[datetime] = None
    started_at: Optional[datetime] = None
    ended_at: Optional[datetime] = None
    position: int = 0
    batch: Optional[Batch] = None

    @property
    def ended(self) -> bool:
        return self.status in ("JOB_STATUS_SUCCEEDED", "JOB_STATUS_FAILED", "JOB_STATUS_CANCELLED")
