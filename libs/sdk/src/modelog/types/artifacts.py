"""Files: stored ones, and those on their way."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types.records import Record


class DatasetRef(Record):
    dataset: str
    version: int


class Artifact(Record):
    """A stored file: its path inside the run or version, SHA-256 and size."""

    path: str
    digest: str
    size_bytes: int = 0


class UploadedPart(Record):
    """A part of a file that the platform holds until the file is whole."""

    number: int = 0
    digest: str = ""
    size_bytes: int = 0


class Upload(Record):
    """A file on its way: `held_bytes` are held from its beginning; `stored` when nothing needs to be sent."""

    id: str
    expected_digest: str = ""
    size_bytes: int = 0
    parts: List[UploadedPart] = []
    held_bytes: int = 0
    stored: bool = False
    kept_until: Optional[datetime] = None
