"""Write what today's code makes of the events of translation_golden.json; look at the difference before it is kept.

.venv/bin/python tests/unit/lineage/write_translation_golden.py
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelog_common.events.store import StoredEvent
from modelog_lineage.graph.changes import Change, Connect, Describe, Disconnect, GoOn
from modelog_lineage.graph.translate import changes_of

EVENTS = Path(__file__).with_name("translation_golden.json")
CHANGES = Path(__file__).with_name("translation_golden.txt")


def stored(kind: str, payload: Any, position: int = 1) -> StoredEvent:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    at = datetime(2013, 1, 1, tzinfo=UTC)
    return StoredEvent(position, f"e{position}", "s.t-1", 1, kind, 1, at, "acme", "alice", "", "", "", body)


def line(change: Change) -> str:
    """A change as a line to read."""
    match change:
        case Describe():
            name = f" {change.name!r}" if change.name else ""
            return f"{change.thing.id}{name} " + " ".join(f"{k}={v!r}" for k, v in change.attributes.items())
        case Connect():
            return f"{change.source.id} -{change.link}-> {change.target.id}"
        case Disconnect():
            return f"{change.source.id} -{change.link}-> nothing"
        case GoOn():
            name = f" {change.name!r}" if change.name else ""
            said = [f"{k}={v!r}" for k, v in change.attributes.items()] + [
                f"left {k}={v!r}" for k, v in change.left.items()
            ]
            return f"{change.thing.id} goes on as {change.to.id}{name} " + " ".join(said)


def written() -> str:
    """The whole golden text."""
    parts = []
    for event in json.loads(EVENTS.read_text()):
        lines = [f"  {line(change)}".rstrip() for change in changes_of(stored(event["type"], event["payload"]))]
        parts.append("\n".join([event["type"], *lines]))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    CHANGES.write_text(written())
