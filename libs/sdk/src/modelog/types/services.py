"""The state of the services."""

from __future__ import annotations

from datetime import datetime
from typing import Dict, List, Optional

from modelog.types.records import Record


class ProjectionStatus(Record):
    name: str = ""
    position: int = 0
    error: str = ""


class StreamStatus(Record):
    name: str = ""
    topic: str = ""
    lag: int = 0
    state: str = ""


class TopicProgress(Record):
    sequence: int = 0
    topic: str = ""


class DeadLetter(Record):
    id: str = ""
    service: str = ""
    consumer: str = ""
    topic: str = ""
    partition: int = 0
    offset: int = 0
    reason: str = ""
    attempts: int = 0
    state: str = ""
    buried_at: Optional[datetime] = None
    changed_at: Optional[datetime] = None
    headers: Dict[str, str] = {}
    value: bytes = b""


class ServiceStatus(Record):
    service: str = ""
    version: str = ""
    pid: int = 0
    uptime_s: float = 0.0
    memory_bytes: int = 0
    log_position: int = 0
    projections: List[ProjectionStatus] = []
    endpoints: Dict[str, str] = {}
    streams: List[StreamStatus] = []


class ServiceHealth(Record):
    service: str = ""
    health: str = ""
    status: Optional[ServiceStatus] = None


class ServiceRebuilt(Record):
    service: str = ""
    projections: List[ProjectionStatus] = []
