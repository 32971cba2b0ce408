"""The audit trail and its proofs."""

from __future__ import annotations

import json
from typing import Iterator, List, Optional
from urllib.parse import quote

import msgspec

from modelog.errors import Unavailable
from modelog.transport import Transport, convert
from modelog.types import AuditReport, Checkpoint, Consistency, Difference, Event, ExactEvent, Record


class _Events(Record):
    events: List[Event] = []
    head: int = 0


class _ExactEvents(Record):
    events: List[ExactEvent] = []


class _Proof(Record):
    bundle: str = ""


class _PredictionProof(Record):
    document: str = ""


class Audit:
    """Every event, and the proof that none was altered."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def events(
        self,
        *,
        after: int = 0,
        stream: Optional[str] = None,
        type: Optional[str] = None,
        actor: Optional[str] = None,
        limit: int = 100,
        newest_first: bool = False,
        as_of: Optional[str] = None,
    ) -> List[Event]:
        """Events by filter; as of a moment, those that there were."""
        flag = "true" if newest_first else None
        return self._transport.get(
            "/api/v1/events",
            _Events,
            after=after,
            stream=stream,
            type=type,
            actor=actor,
            limit=limit,
            newest_first=flag,
            as_of=as_of,
        ).events

    def exact_events(self, after: int, limit: int) -> List[ExactEvent]:
        """Events after a position, with their bytes as they are stored and hashed."""
        return self._transport.get("/api/v1/events", _ExactEvents, after=after, limit=limit, exact="true").events

    def head(self, *, as_of: Optional[str] = None) -> int:
        """Last position of the log: now, or at a time."""
        return self._transport.get("/api/v1/events", _Events, limit=1, as_of=as_of).head

    def diff(self, since: str, until: Optional[str] = None) -> Difference:
        """What changed between two moments (positions, or RFC 3339 times; without `until`: up to now), in words."""
        until = until or self._transport.as_of
        return self._transport.get("/api/v1/events/diff", Difference, since=since, until=until)

    def follow(self, after: int = 0) -> Iterator[Event]:
        """Events after a position, and then as they happen; does not end by itself."""
        self._transport.present("following what happens")
        kind = ""
        for line in self._transport.lines("/api/v1/events/stream", after=after):
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                if kind == "trouble":
                    raise Unavailable(line[6:])
                yield convert(json.loads(line[6:]), Event)

    def checkpoint(self) -> Checkpoint:
        """The newest signed statement of the log's size and root."""
        return self._transport.get("/api/v1/audit/checkpoint", Checkpoint)

    def proof(self, position: int) -> str:
        """A JSON bundle that proves, with the public key alone, that an event is in the log."""
        return self._transport.get(f"/api/v1/audit/proofs/{position}", _Proof).bundle

    def prove(self, prediction_id: str, deployment: Optional[str] = None) -> str:
        """A JSON document that proves, with the public key alone, what was answered, by which model file, made of what.

        The deployment may be left out where only one has such a prediction. `modelog_proofs.verify_prediction` checks.
        """
        path = f"/api/v1/predictions/{quote(prediction_id, safe='')}/proof"
        return self._transport.get(path, _PredictionProof, deployment=deployment).document

    def consistency(self, old_size: int) -> Consistency:
        """The proof that the log of an older checkpoint is the beginning of today's."""
        return self._transport.get("/api/v1/audit/consistency", Consistency, old_size=old_size)

    def verify(self) -> AuditReport:
        """Have the platform hash its whole store again and compare it with the signed checkpoint."""
        return self._transport.post("/api/v1/audit/verify", AuditReport, {}, repeatable=True)


def to_line(event: Event) -> str:
    """An event as one line of JSON."""
    return msgspec.json.encode(event).decode()
