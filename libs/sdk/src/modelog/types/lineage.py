"""The graph, the catalogue, the log and its audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional

import msgspec

from modelog.types.records import Record


class Node(Record):
    id: str = ""
    kind: str = ""
    name: str = ""
    attributes: Dict[str, str] = {}
    since: int = 0


class Edge(Record):
    source: str = msgspec.field(name="from", default="")
    target: str = msgspec.field(name="to", default="")
    kind: str = ""
    since: int = 0


class Graph(Record):
    nodes: List[Node] = []
    edges: List[Edge] = []


class CatalogueEntry(Record):
    """A thing as the catalogue describes it; `id` is a node of the lineage graph."""

    id: str = ""
    kind: str = ""
    title: str = ""
    text: str = ""
    tags: Dict[str, str] = {}
    since: int = 0


class Facet(Record):
    """How many of the things found have something in common."""

    name: str = ""
    count: int = 0


class Found(Record):
    """A page of the catalogue: what matches best, how many there are in all, and of which kinds and tags."""

    entries: List[CatalogueEntry] = []
    total: int = 0
    kinds: List[Facet] = []
    tags: List[Facet] = []
    next_page_token: str = ""


class Event(Record):
    """One event of the audit trail."""

    position: int = 0
    event_id: str = ""
    stream: str = ""
    version: int = 0
    type: str = ""
    schema: int = 0
    recorded_at: Optional[datetime] = None
    tenant: str = ""
    actor: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace_id: str = ""
    payload: Optional[Dict[str, Any]] = None
    sentence: str = ""


class ExactEvent(Event):
    """An event with its payload's bytes as they are stored and hashed."""

    data: bytes = b""


class EntityChanges(Record):
    """What happened to one model, deployment, run ... between two moments; `sentences` tell it in words."""

    kind: str = ""
    name: str = ""
    stream: str = ""
    is_new: bool = False
    events: int = 0
    sentences: List[str] = []
    left_off: int = 0


class Difference(Record):
    """What changed after position `since` and up to `until`."""

    since: int = 0
    until: int = 0
    first_at: Optional[datetime] = None
    last_at: Optional[datetime] = None
    events: int = 0
    events_by_type: Dict[str, int] = {}
    entities: List[EntityChanges] = []
    left_off: int = 0


class Checkpoint(Record):
    size: int = 0
    root: str = ""
    note: str = ""
    public_key: str = ""


class Consistency(Record):
    """The proof that the log of `old_size` events is the beginning of that of `checkpoint`."""

    old_size: int = 0
    new_size: int = 0
    path: List[str] = []
    checkpoint: Checkpoint = msgspec.field(default_factory=Checkpoint)


class AuditReport(Record):
    intact: bool = False
    events: int = 0
    root: str = ""
    findings: List[str] = []
    first_altered: int = 0
