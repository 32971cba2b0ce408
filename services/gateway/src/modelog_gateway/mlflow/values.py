"""Small translations between MLflow's JSON and our messages: times, numbers, tags, and the Default experiment's id."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.errors import Invalid
from modelog_common.domain.ids import derived_id
from modelog_common.rpc.call import current_call

Status = TypeVar("Status", bound=int)
DEFAULT_NAME, DEFAULT_ID = "Default", "0"
# A greater one does not fit into a message; msgspec refuses it by its name.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Pair(msgspec.Struct):
    """A tag or a parameter."""

    key: str
    value: str = ""


def default_id() -> str:
    """What MLflow's clients know as experiment 0, in the caller's tenant."""
    return _default_of(current_call().identity.tenant)


@lru_cache(maxsize=1000)
def _default_of(tenant: str) -> str:
    return derived_id(tenant, DEFAULT_NAME)


def known_id(shown: str) -> str:
    """The id of an experiment by the one that MLflow shows."""
    return default_id() if shown == DEFAULT_ID else shown


def shown_id(known: str) -> str:
    return DEFAULT_ID if known == default_id() else known


def pairs(of: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in of.items()]


def mapped(tags: Iterable[Pair], field: str) -> dict[str, str]:
    """Pairs by their keys; raises Invalid when one key has two values."""
    found: dict[str, str] = {}
    for pair in tags:
        if found.setdefault(pair.key, pair.value) != pair.value:
            raise Invalid.field(field, f"{pair.key!r} is given twice, as {found[pair.key]!r} and {pair.value!r}")
    return found


def status_in(statuses: Sequence[tuple[Status, str, int]], given: str | int) -> Status:
    """Our status by MLflow's name, or by the number of its enumeration; `statuses` are ours, name and number."""
    for ours, name, value in statuses:
        if given in (name, value):
            return ours
    names = ", ".join(name for _, name, _ in statuses)
    raise Invalid.field("status", f"is {given!r}; it must be one of {names}")


def milliseconds(time: Timestamp) -> int:
    """As Timestamp.ToMilliseconds, which takes five times as long; a page of runs has 20,000 of them."""
    return time.seconds * 1000 + time.nanos // 1_000_000


def timestamp(time_ms: int) -> Timestamp:
    found = Timestamp()
    try:
        found.FromMilliseconds(time_ms)
    except ValueError:
        raise Invalid.field(
            "timestamp", f"{time_ms} is no time between the years 1 and 9999, in milliseconds"
        ) from None
    return found


def number(value: float) -> float | str:
    """JSON has no NaN and no infinities; proto3's JSON writes them as texts."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def parameter_texts(parameters: Struct) -> dict[str, str]:
    """Parameters as MLflow has them: texts. What was logged as another value is written as in JSON."""
    return {key: _text_of(value) for key, value in parameters.fields.items()}


def _text_of(value: Value) -> str:
    return value.string_value if value.HasField("string_value") else json.dumps(_plain(value))


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            is_whole = value.number_value.is_integer() and abs(value.number_value) < 2**53
            return int(value.number_value) if is_whole else value.number_value
        case "bool_value":
            return value.bool_value
        case "string_value":
            return value.string_value
        case "struct_value":
            return {key: _plain(inner) for key, inner in value.struct_value.fields.items()}
        case "list_value":
            return [_plain(inner) for inner in value.list_value.values]
        case _:
            return None
