"""The export of a log: JSON Lines, one event a line in the JSON format of CloudEvents 1.0, with its whole envelope.

Specification, version 1
========================

A line is a JSON object without line breaks, ended by one newline (0x0A), the last line too. A file that begins as gzip
does holds the lines compressed. The members, always all of them:

    specversion      "1.0"
    id               event_id
    source           "/modelog"
    type             type
    subject          stream
    time             recorded_at
    datacontenttype  "application/json"
    position         decimal text, for the integers of CloudEvents have 32 bits
    version          decimal text
    schema           integer
    tenant, actor, correlation, causation, trace
    data             the payload's bytes as they were stored, which are JSON, or
    data_base64      the payload in base64, when it is no JSON or has line breaks or white space around it

Positions rise by one from line to line. The bytes of `data` are part of the event's hash: a tool that writes the JSON
anew, with other white space say, breaks the proofs and nothing else.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Optional, Union, cast

from .errors import InvalidEvent, UnreadableStore
from .keys import decode_base64
from .leaf import EventRecord, leaf_bytes

GZIP_MAGIC = b"\x1f\x8b"
LONGEST_LINE_BYTES = 256 * 1024 * 1024
_SOURCE = "/modelog"
_FIXED = {"specversion": "1.0", "source": _SOURCE, "datacontenttype": "application/json"}
_TEXTS = {
    "id": "event_id",
    "type": "type",
    "subject": "stream",
    "time": "recorded_at",
    "tenant": "tenant",
    "actor": "actor",
    "correlation": "correlation",
    "causation": "causation",
    "trace": "trace",
}
_NAMES = {*_FIXED, *_TEXTS, "position", "version", "schema", "data", "data_base64"}
_SPACE = " \t\r\n"


def export_line(event: EventRecord) -> bytes:
    """The event's line, with its newline. Raises InvalidEvent for a text that is not valid Unicode."""
    envelope = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": _SOURCE,
        "type": event.type,
        "subject": event.stream,
        "time": event.recorded_at,
        "datacontenttype": "application/json",
        "position": str(event.position),
        "version": str(event.version),
        "schema": event.schema,
        "tenant": event.tenant,
        "actor": event.actor,
        "correlation": event.correlation,
        "causation": event.causation,
        "trace": event.trace,
    }
    try:
        head = json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        leaf_bytes(event)  # names the field
        raise
    if _can_stand_in_line(event.payload):
        return head[:-1] + b',"data":' + event.payload + b"}\n"
    return head[:-1] + b',"data_base64":"' + base64.b64encode(event.payload) + b'"}\n'


def read_export_line(line: bytes, number: int) -> EventRecord:
    """The event in a line. Raises UnreadableStore, which names the line and the field at fault."""
    where = f"line {number}"
    if not line.endswith(b"\n"):
        raise UnreadableStore(f"{where} is cut off: it does not end in a newline.")
    try:
        members = _members(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadableStore(f"{where} is not UTF-8 text at byte {error.start}.") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableStore(f"{where} is not a JSON object: {error}.") from None
    return _record(members, where)


class ExportFile:
    """An export, read from its beginning; use it as a context manager."""

    def __init__(self, path: Union[str, Path]) -> None:
        self.path = Path(path)
        self._file: Optional[IO[bytes]] = None

    def __enter__(self) -> "ExportFile":
        """Raises UnreadableStore when there is no such file."""
        try:
            self._file = cast("IO[bytes]", gzip.open(self.path)) if is_gzip(self.path) else self.path.open("rb")
        except OSError as error:
            raise UnreadableStore(f"{self.path} cannot be read: {error.strerror or error}.") from None
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def events(self) -> Iterator[EventRecord]:
        """The events in order. Raises UnreadableStore at the first line that is not the next event."""
        last, number = None, 0  # type: Optional[int], int
        while True:
            number += 1
            line = self._line(number)
            if not line:
                return
            record = read_export_line(line, number)
            if last is not None and record.position != last + 1:
                raise UnreadableStore(
                    f"line {number}: position is {record.position}; after {last} comes {last + 1}.", last + 1
                )
            last = record.position
            yield record

    def damage(self) -> list[str]:
        """What is wrong with the file as a whole; whatever is, `events` has said."""
        return []

    def _line(self, number: int) -> bytes:
        if self._file is None:
            raise UnreadableStore(f"{self.path} is not open: use it in a with statement.")
        try:
            line = self._file.readline(LONGEST_LINE_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableStore(f"line {number}: the file is damaged or cut off here: {error}.") from None
        if len(line) == LONGEST_LINE_BYTES:
            raise UnreadableStore(f"line {number} is longer than {LONGEST_LINE_BYTES} bytes.")
        return line


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


def _can_stand_in_line(payload: bytes) -> bool:
    if payload.strip() != payload or b"\n" in payload or b"\r" in payload:
        return False
    try:
        json.loads(payload.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _members(text: str) -> dict[str, tuple[Any, str]]:
    """The members of an object, each as its value and the very text of it. Raises ValueError."""
    members: dict[str, tuple[Any, str]] = {}
    at = _after(text, _skip(text, 0), "{")
    while True:
        name, at = _DECODER.raw_decode(text, _skip(text, at))
        if not isinstance(name, str):
            raise ValueError("a member's name is not text")
        start = _skip(text, _after(text, _skip(text, at), ":"))
        value, at = _DECODER.raw_decode(text, start)
        if name in members:
            raise ValueError(f"{name} stands in it twice")
        members[name] = (value, text[start:at])
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            break
        at = _after(text, at, ",")
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows the object")
    return members


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _after(text: str, at: int, expected: str) -> int:
    if text[at : at + 1] != expected:
        raise ValueError(f"{expected!r} is missing at character {at}")
    return at + 1


def _record(members: dict[str, tuple[Any, str]], where: str) -> EventRecord:
    unknown = [name for name in members if name not in _NAMES]
    if unknown:
        raise UnreadableStore(f"{where} holds the unknown {unknown[0]!r:.80}, which nothing vouches for.")
    for name, expected in _FIXED.items():
        found = _value(members, name, where)
        if found != expected:
            raise UnreadableStore(f"{where}: {name} must be {expected!r}, it is {found!r:.80}.")
    texts = {field: _text(members, name, where) for name, field in _TEXTS.items()}
    schema = _value(members, "schema", where)
    if type(schema) is not int:
        raise UnreadableStore(f"{where}: schema must be an integer, it is {schema!r:.80}.")
    record = EventRecord(
        position=_number(members, "position", where),
        version=_number(members, "version", where),
        schema=schema,
        payload=_payload(members, where),
        **texts,
    )
    try:
        leaf_bytes(record)
    except InvalidEvent as error:
        raise UnreadableStore(f"{where}: {error}.", record.position) from None
    return record


def _value(members: dict[str, tuple[Any, str]], name: str, where: str) -> Any:
    if name not in members:
        raise UnreadableStore(f"{where}: {name} is missing.")
    return members[name][0]


def _text(members: dict[str, tuple[Any, str]], name: str, where: str) -> str:
    value = _value(members, name, where)
    if not isinstance(value, str):
        raise UnreadableStore(f"{where}: {name} must be text, it is {value!r:.80}.")
    return value


def _number(members: dict[str, tuple[Any, str]], name: str, where: str) -> int:
    value = _text(members, name, where)
    if not value.isascii() or not value.isdigit() or len(value) > 19 or str(int(value)) != value or value == "0":
        raise UnreadableStore(f"{where}: {name} must be a decimal number from 1, it is {value!r:.80}.")
    return int(value)


def _payload(members: dict[str, tuple[Any, str]], where: str) -> bytes:
    if ("data" in members) == ("data_base64" in members):
        raise UnreadableStore(f"{where}: data is missing; there must be either data or data_base64.")
    if "data" in members:
        return members["data"][1].encode()
    try:
        return decode_base64(_text(members, "data_base64", where))
    except ValueError as error:
        raise UnreadableStore(f"{where}: data_base64 is {error}.") from None
