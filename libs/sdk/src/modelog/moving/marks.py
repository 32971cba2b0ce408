"""What ties a thing here to the thing at the source that it came from."""

from __future__ import annotations

import hashlib
import json
import unicodedata
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

# The id that it has at the source; where the source kept its files, when that is elsewhere; its name there.
SOURCE_ID, SOURCE_FILES, SOURCE_NAME = "modelog.imported.id", "modelog.imported.files", "modelog.imported.name"
# Set last: the state of the source that was moved wholly.
WHOLE = "modelog.imported"
LONGEST_NAME = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NAMESPACE = uuid.UUID("5b0f7c0e-6d52-4f0e-9a43-3f0d6c1f7a11")


def request_of(*parts: Any) -> str:
    """The id of the request that makes something: the same thing of a source gives the same, whatever its address."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts)))


def fingerprint(told: Any) -> str:
    """A digest of what the source tells of something."""
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


def moment(milliseconds: Any) -> Optional[datetime]:
    """A time of MLflow's, None for none."""
    return _EPOCH + timedelta(milliseconds=int(milliseconds)) if milliseconds else None


def tidied(name: str) -> str:
    """The name, or the nearest that is allowed here: without white space around it and control characters in it."""
    plain = "".join(" " if unicodedata.category(c) == "Cc" else c for c in name).strip()
    return plain[:LONGEST_NAME].strip()
