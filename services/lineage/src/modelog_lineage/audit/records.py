"""Events as the proofs know them, and as people read them."""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf.struct_pb2 import Struct, Value
from modelog_common.events.store import StoredEvent
from modelog_proofs import EventRecord, recorded_at_text
from modelog_proto.lineage.v1 import lineage_pb2 as pb

from modelog_lineage.story.sentences import sentence_of

# Beyond these a message could not be sent or read (protobuf reads at most 100 levels; a level of a Struct takes three).
DEEPEST = 20
LONGEST_BYTES = 1 << 20
LARGEST_INTEGER = 1 << 53
NOT_SHOWN = "not shown"


def record_of(stored: StoredEvent) -> EventRecord:
    """The record whose bytes are the leaf."""
    return EventRecord(
        position=stored.position,
        event_id=stored.id,
        stream=stored.stream,
        version=stored.version,
        type=stored.type,
        schema=stored.schema,
        recorded_at=recorded_at_text(stored.recorded_at),
        tenant=stored.tenant,
        actor=stored.actor,
        correlation=stored.correlation_id,
        causation=stored.causation_id,
        trace=stored.trace_id,
        payload=stored.payload,
    )


def message_of(stored: StoredEvent, *, exact: bool = False) -> pb.AuditEvent:
    """The event as an answer; `exact` adds the payload's bytes as they are stored."""
    message = pb.AuditEvent(
        position=stored.position,
        event_id=stored.id,
        stream=stored.stream,
        version=stored.version,
        type=stored.type,
        schema=stored.schema,
        tenant=stored.tenant,
        actor=stored.actor,
        correlation_id=stored.correlation_id,
        causation_id=stored.causation_id,
        trace_id=stored.trace_id,
        payload=payload_of(stored.payload),
        sentence=sentence_of(stored),
        data=stored.payload if exact else b"",
    )
    message.recorded_at.FromDatetime(stored.recorded_at)
    return message


def payload_of(payload: bytes) -> Struct:
    """A payload to read. What is no JSON object stands under "value", what cannot be shown is told under "not shown".

    Numbers of a Struct are doubles: integers beyond 2**53 become texts, so that no digit is lost.
    """
    if len(payload) > LONGEST_BYTES:
        return _struct({NOT_SHOWN: f"{len(payload)} bytes, more than the {LONGEST_BYTES} that are shown"})
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _struct({NOT_SHOWN: f"{len(payload)} bytes that are not JSON"})
    return _struct(value if isinstance(value, dict) else {"value": value})


def _struct(fields: dict[str, Any]) -> Struct:
    return Struct(fields={name: _value(value, 1) for name, value in fields.items()})


def _value(value: Any, depth: int) -> Value:
    match value:
        case None:
            return Value(null_value=0)  # type: ignore[arg-type]
        case bool():
            return Value(bool_value=value)
        case int() if abs(value) > LARGEST_INTEGER:
            return Value(string_value=str(value))
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case _ if depth >= DEEPEST:
            return Value(string_value=msgspec.json.encode(value).decode())
        case list():
            items = Value()
            items.list_value.values.extend(_value(item, depth + 1) for item in value)
            return items
        case _:
            inner = Value()
            inner.struct_value.SetInParent()
            for name, item in value.items():
                inner.struct_value.fields[name].CopyFrom(_value(item, depth + 1))
            return inner
