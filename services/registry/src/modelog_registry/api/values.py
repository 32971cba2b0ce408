"""What the messages of several contracts hold, as plain values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from modelog_proto.registry.v1 import model_pb2

from modelog_registry.artifact import Artifact


def artifact_of(artifact: model_pb2.Artifact) -> Artifact:
    """A stored file."""
    return Artifact(artifact.path, artifact.digest, artifact.size_bytes)


def time_of(message: Message, field: str) -> datetime | None:
    """The time in a field; None when there is none."""
    if not message.HasField(field):
        return None
    time: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    return time


def text_of(message: Message, field: str) -> str | None:
    """The text in an optional field; None when there is none."""
    return str(getattr(message, field)) if message.HasField(field) else None


def object_of(struct: Struct) -> dict[str, Any]:
    """A JSON object; whole numbers that a double holds exactly become int, as they were written."""
    return {key: _value_of(value) for key, value in struct.fields.items()}


def _value_of(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return object_of(value.struct_value)
        case "list_value":
            return [_value_of(v) for v in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None
