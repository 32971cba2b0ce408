"""The canonical bytes of one event, which are what the log's Merkle tree commits to.

Specification, version 1
========================

A leaf is the concatenation of a tag and 13 fields, with nothing between, before or after them:

    leaf  = tag field*13
    tag   = the 15 ASCII bytes "modelog.event/1", without length or terminator
    field = length value
    length = number of bytes of value, unsigned 32-bit, big-endian

The fields, always all of them and always in this order:

     1  position     decimal text   place in the total order of the log, the first event is 1
     2  event_id     UTF-8 text
     3  stream       UTF-8 text
     4  version      decimal text   place in its stream
     5  type         UTF-8 text     name of the event type, e.g. "registry.VersionPromoted"
     6  schema       decimal text   version of the event type
     7  recorded_at  UTF-8 text     exactly as stored: it is not parsed or normalised
     8  tenant       UTF-8 text
     9  actor        UTF-8 text
    10  correlation  UTF-8 text
    11  causation    UTF-8 text
    12  trace        UTF-8 text
    13  payload      bytes          exactly as stored (JSON): it is not parsed or normalised

Decimal text is ASCII digits without sign or leading zeros; zero is "0". Text is not normalised (no NFC, no
case folding) and has no unpaired surrogates. An absent value is the empty text: length 0. No value reaches
2**32 bytes.

The leaf of the event at position p has index p - 1 in the tree. Its leaf hash is SHA-256(0x00 || leaf) and an
inner node is SHA-256(0x01 || left || right), as in RFC 9162 section 2.1.1.

Modelog's own stores write recorded_at in UTC as YYYY-MM-DDTHH:MM:SS.ffffff+00:00, always with six digits, so
whoever holds it as a time (from Kafka, from PostgreSQL) can make the stored text again: see `recorded_at_text`.

Example: position 1, event_id "e1", stream "s-1", version 1, type "t.T", schema 1, recorded_at
"2013-01-01T00:00:00Z", tenant "a", actor "b", correlation "", causation "", trace "", payload "{}" give,
in hexadecimal, tag and fields separated here by spaces:

    6d6f64656c6f672e6576656e742f31 0000000131 000000026531 00000003732d31 0000000131 00000003742e54 0000000131
    00000014323031332d30312d30315430303a30303a30305a 0000000161 0000000162 00000000 00000000 00000000
    000000027b7d
"""

import struct
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from operator import attrgetter
from typing import Optional

from .errors import InvalidEvent
from .merkle import hash_leaf

TAG = b"modelog.event/1"


@dataclass(frozen=True)
class EventRecord:
    """One event as it is stored. The order of the fields is that of the leaf: do not change it."""

    position: int
    event_id: str
    stream: str
    version: int
    type: str
    schema: int
    recorded_at: str
    tenant: str
    actor: str
    correlation: str
    causation: str
    trace: str
    payload: bytes


FIELDS: tuple[tuple[str, type], ...] = tuple((field.name, field.type) for field in fields(EventRecord))  # type: ignore[misc]
"""Name and Python type of each field, in the order of the leaf."""

_values = attrgetter(*(name for name, _ in FIELDS))
_KINDS = tuple(kind for _, kind in FIELDS)
_length = struct.Struct(">I").pack


def leaf_bytes(event: EventRecord) -> bytes:
    """The leaf of an event. Raises InvalidEvent, which names the field that cannot be encoded."""
    values = _values(event)
    # A log is hashed by the million: fields are looked at one by one only when they are not what they should be.
    parts = _encoded(*values) if tuple(map(type, values)) == _KINDS else None
    if parts is None:
        parts = tuple(_encode(name, kind, value) for (name, kind), value in zip(FIELDS, values))
    leaf = [TAG]
    for part in parts:
        leaf += (_length(len(part)), part)
    return b"".join(leaf)


def _encoded(
    position: int, event_id: str, stream: str, version: int, kind: str, schema: int, recorded_at: str, tenant: str,
    actor: str, correlation: str, causation: str, trace: str, payload: bytes,
) -> Optional[tuple[bytes, ...]]:  # fmt: skip
    """The fields' bytes; None when one cannot be encoded, of which `_encode` says which."""
    if position < 1 or version < 0 or schema < 0:
        return None
    try:
        return (
            b"%d" % position, event_id.encode(), stream.encode(), b"%d" % version, kind.encode(), b"%d" % schema,
            recorded_at.encode(), tenant.encode(), actor.encode(), correlation.encode(), causation.encode(),
            trace.encode(), payload,
        )  # fmt: skip
    except UnicodeEncodeError:
        return None


def event_hash(event: EventRecord) -> bytes:
    """The leaf hash of an event, 32 bytes. Raises InvalidEvent."""
    return hash_leaf(leaf_bytes(event))


def leaf_index(position: int) -> int:
    """The index in the tree of the event at `position`."""
    return position - 1


def recorded_at_text(moment: datetime) -> str:
    """The text that Modelog's stores keep for a time. Raises InvalidEvent when `moment` has no time zone."""
    if moment.utcoffset() is None:
        raise InvalidEvent(f"recorded_at must have a time zone, {moment.isoformat()} has none")
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds")


def _encode(name: str, expected: type, value: object) -> bytes:
    if type(value) is not expected:  # a bool is an int to isinstance
        raise InvalidEvent(f"{name} must be {_kind(expected)}, it is {_kind(type(value))}")
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        lowest = 1 if name == "position" else 0
        if value < lowest:
            raise InvalidEvent(f"{name} must be {lowest} or more, it is {value}")
        return b"%d" % value
    try:
        return str(value).encode()
    except UnicodeEncodeError:
        raise InvalidEvent(f"{name} is not valid UTF-8 text") from None


def _kind(kind: type) -> str:
    names = {int: "an integer", str: "text", bytes: "bytes", type(None): "null", float: "a real number"}
    return names.get(kind, kind.__name__)
