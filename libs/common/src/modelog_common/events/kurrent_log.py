"""How an event is kept in KurrentDB, and the index over the log that each process holds in memory.

The whole log is one KurrentDB stream, whose revisions are dense: position = revision + 1. What a stream of ours is, and
which event has which id, KurrentDB cannot be asked then; so each process reads the log once and follows it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid5

import msgspec

from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.domain.ids import NAMESPACE
from modelog_common.events.group import Pending
from modelog_common.events.store import Appended, Expected, StoredEvent

FORMAT = 1
STREAM = "modelog.events"
HISTORY_STREAM = "modelog.history"
# Revisions that lie this close together are read in one go, with what is between them.
GAP = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Recorded(Protocol):
    """An event as the client gives it."""

    @property
    def stream_position(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def metadata(self) -> bytes: ...


class _Envelope(msgspec.Struct, frozen=True):
    """The metadata of an event in KurrentDB; whatever its own rules for ids and types are, ours stay as they are."""

    format: int
    id: str
    stream: str
    version: int
    type: str
    schema: int
    recorded_at: datetime
    tenant: str
    actor: str
    correlation_id: str
    causation_id: str
    trace_id: str


_ENVELOPES = msgspec.json.Decoder(_Envelope)


def to_stored(recorded: Recorded) -> StoredEvent:
    """Raises Unavailable for an event that a newer release wrote, or somebody else."""
    try:
        e = _ENVELOPES.decode(recorded.metadata)
    except msgspec.DecodeError as error:
        raise Unavailable(
            f"revision {recorded.stream_position} of the stream {STREAM} is no event of this log: {error}"
        ) from error
    if e.format > FORMAT:
        raise Unavailable(
            f"the log was written by a newer release (format {e.format}); this one reads up to format {FORMAT}"
        )
    return StoredEvent(
        recorded.stream_position + 1, e.id, e.stream, e.version, e.type, e.schema, e.recorded_at,
        e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id, recorded.data,
    )  # fmt: skip


def metadata_of(e: StoredEvent) -> bytes:
    """The envelope of an event, which KurrentDB keeps beside its payload."""
    return msgspec.json.encode(
        _Envelope(
            FORMAT, e.id, e.stream, e.version, e.type, e.schema, e.recorded_at,
            e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id,
        )
    )  # fmt: skip


def kurrent_id(e: StoredEvent) -> UUID:
    """KurrentDB's ids are UUIDs; ours are any text.

    KurrentDB takes events of the same ids at the same revisions for an append that was repeated, and says that it went
    well. So the id says all that makes it one: the same id for another stream must not look like it.
    """
    return uuid5(NAMESPACE, f"{e.stream}\x1f{e.version}\x1f{e.id}")


def kurrent_type(event_type: str) -> str:
    """KurrentDB keeps names that begin with a dollar for itself, and needs a name."""
    return event_type if event_type and not event_type.startswith("$") else f"modelog.{event_type}"


class LogIndex:
    """What a process knows of the log up to `head`: about 200 bytes an event."""

    def __init__(self) -> None:
        self.head = 0
        self.last: datetime | None = None
        self._positions: dict[str, int] = {}
        self._streams: dict[str, array[int]] = {}
        self._times = array("q")

    def add(self, e: StoredEvent) -> None:
        """Take in the next event; one that is known already changes nothing."""
        if e.position <= self.head:
            return
        if e.position != self.head + 1:
            raise Unavailable(f"the log goes from position {self.head} to {e.position}; events between are missing")
        self.head, self.last = e.position, e.recorded_at
        self._positions[e.id] = e.position
        self._streams.setdefault(e.stream, array("q")).append(e.position)
        self._times.append(_microseconds(e.recorded_at))

    def version(self, stream: str) -> int:
        return len(self._streams.get(stream, ()))

    def position_of(self, event_id: str) -> int | None:
        return self._positions.get(event_id)

    def position_at(self, moment: datetime) -> int:
        return bisect_right(self._times, _microseconds(moment))

    def runs(self, stream: str, after: int, until: int | None) -> Iterator[tuple[int, int]]:
        """Ranges of positions, both ends included, that hold a stream's events above version `after`."""
        positions: Sequence[int] = self._streams.get(stream, array("q"))[after:]
        if until is not None:
            positions = positions[: bisect_right(positions, until)]
        start = end = 0
        for position in positions:
            if start and position - end > GAP:
                yield start, end
                start = 0
            start, end = start or position, position
        if start:
            yield start, end

    def decide(self, batch: Sequence[Pending], at: datetime) -> tuple[list[Any], list[StoredEvent]]:
        """An answer for each append, the Conflict that refuses it among them, and the events that are to be written.

        The answer is None for an append that repeats ids of one before it in the batch: it is to be decided afterwards.
        """
        new: list[StoredEvent] = []
        versions: dict[str, int] = {}
        ids: set[str] = set()
        answers: list[Any] = []
        for item in batch:
            if any(e.id in ids for e in item.events):
                answers.append(None)
                continue
            version = versions.get(item.stream, self.version(item.stream))
            answer = self._repeated(item) or _refused(item, version)
            if answer is None:
                for e in item.events:
                    version += 1
                    new.append(
                        StoredEvent(
                            self.head + len(new) + 1, e.id, item.stream, version, e.type, e.schema, at,
                            e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id, e.payload,
                        )
                    )  # fmt: skip
                versions[item.stream] = version
                ids |= {e.id for e in item.events}
                answer = Appended(self.head + len(new), version)
            answers.append(answer)
        return answers, new

    def _repeated(self, item: Pending) -> Appended | Conflict | None:
        found = [position for e in item.events if (position := self._positions.get(e.id))]
        if not found:
            return None
        stream = self._streams.get(item.stream, array("q"))
        versions = [bisect_right(stream, position) for position in found]
        same = all(version and stream[version - 1] == at for version, at in zip(versions, found, strict=True))
        if len(found) != len(item.events) or not same:
            return Conflict(f"{len(found)} of {len(item.events)} event ids for {item.stream} are in the store already")
        return Appended(found[-1], versions[-1], repeated=True)


def _refused(item: Pending, version: int) -> Conflict | None:
    wanted = 0 if item.expected is Expected.NONE else item.expected
    if wanted is Expected.ANY or wanted == version:
        return None
    return Conflict(f"{item.stream} is at version {version}, not at the expected {wanted}")


def _microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
