"""How an event and a batch look on Kafka: CloudEvents in binary mode (headers ce_*), plus what readers need to count.

Every message of a durable log carries five headers: `ce_source` says whose log, `ce_history` which one, for a restored
log is another; `ce_position` where in it, `ce_previous` the position of the message that the log published to this
topic before, and `ce_fence` the token of its publisher's lease. A reader that holds the previous one may take the
message; a reader that does not has found a gap.
A reader that does not count can leave out what has a lower token than it has seen: that came from a publisher whose
time was over, and is in the topic already or comes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from modelog_common.events.store import StoredEvent

SOURCE = "ce_source"
HISTORY = "ce_history"
POSITION = "ce_position"
PREVIOUS = "ce_previous"
FENCE = "ce_fence"
_SPEC = b"1.0"


class LogEntry(msgspec.Struct, frozen=True):
    """One entry of a durable log, on its way to its tenant's topic."""

    tenant: str
    position: int
    key: bytes
    value: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class Received(msgspec.Struct, frozen=True):
    """A message as it was read from a topic.

    `source` and `position` are empty and 0 when the sender does not count its messages; then nothing protects from
    duplicates but the offset. `previous` is -1, and `history` empty, when the sender does not say it. `replayed` is set
    for a dead letter that is handed in again, out of its order.
    """

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]
    source: str = ""
    position: int = 0
    previous: int = -1
    history: str = ""
    replayed: bool = False

    def text(self, header: str) -> str:
        """A header as text; "" when it is missing."""
        return self.headers.get(header, b"").decode(errors="replace")


class Poison(Exception):
    """This message can never be handled: it goes to the topic's dead letters, and the rest goes on."""

    def __init__(self, message: Received, reason: str) -> None:
        super().__init__(f"{message.topic}[{message.partition}]@{message.offset}: {reason}")
        self.message = message
        self.reason = reason


def counted(plain: Received) -> Received | Poison:
    """The message with its counting headers read; Poison when they are not numbers."""
    headers = plain.headers
    if SOURCE not in headers or POSITION not in headers:
        return plain
    try:
        position = int(headers[POSITION])
        previous = int(headers.get(PREVIOUS, b"-1"))
        source = headers[SOURCE].decode()
        history = headers.get(HISTORY, b"").decode()
    except ValueError:
        return Poison(
            plain, f"{SOURCE}, {POSITION} and {PREVIOUS} must be text and whole numbers, not {plain.text(POSITION)!r}"
        )
    if position < 1:
        return Poison(plain, f"{POSITION} is {position}; positions count from 1")
    return Received(
        plain.topic, plain.partition, plain.offset, plain.key, plain.value, headers, source, position, previous, history
    )


def source_of_service(service: str) -> str:
    """The CloudEvents source of a service's events."""
    return f"/modelog/{service}"


def counted_headers(source: str, position: int, previous: int, fence: int = 0, history: str = "") -> dict[str, str]:
    """The headers of a message from a log that counts: readers drop what they have seen and notice what they missed."""
    counted = {SOURCE: source, POSITION: str(position), PREVIOUS: str(previous), FENCE: str(fence)}
    return counted | ({HISTORY: history} if history else {})


def to_entry(event: StoredEvent, more_headers: Mapping[str, str] | None = None) -> LogEntry:
    """The message that carries this event: key = stream, value = the payload's JSON."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event.id,
        "ce_type": event.type,
        "ce_time": event.recorded_at.astimezone(UTC).isoformat(),
        "ce_subject": event.stream,
        "ce_stream": event.stream,
        "ce_version": str(event.version),
        "ce_schema": str(event.schema),
        "ce_tenant": event.tenant,
        "ce_actor": event.actor,
        "ce_correlationid": event.correlation_id,
        "ce_causationid": event.causation_id,
        "ce_traceid": event.trace_id,
        "content-type": "application/json",
        **(more_headers or {}),
    }
    return LogEntry(event.tenant, event.position, event.stream.encode(), event.payload, headers)


def to_event(message: Received) -> StoredEvent:
    """The event that a message carries; raises Poison when it is not one of ours."""
    headers = message.headers
    try:
        if headers.get("ce_specversion") != _SPEC:
            raise ValueError(f"ce_specversion is {message.text('ce_specversion')!r}, not 1.0")
        if message.position < 1:
            raise ValueError(f"{POSITION} is missing")
        return StoredEvent(
            position=message.position,
            id=headers["ce_id"].decode(),
            stream=headers["ce_stream"].decode(),
            version=int(headers["ce_version"]),
            type=headers["ce_type"].decode(),
            schema=int(headers["ce_schema"]),
            recorded_at=datetime.fromisoformat(headers["ce_time"].decode()),
            tenant=headers["ce_tenant"].decode(),
            actor=headers["ce_actor"].decode(),
            correlation_id=headers["ce_correlationid"].decode(),
            causation_id=headers["ce_causationid"].decode(),
            trace_id=headers["ce_traceid"].decode(),
            payload=message.value,
        )
    except KeyError as missing:
        raise Poison(message, f"header {missing} is missing") from missing
    except ValueError as wrong:
        raise Poison(message, f"not an event: {wrong}") from wrong
