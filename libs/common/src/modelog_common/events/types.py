"""How an event type is declared, and the registry that finds it by its stored name and version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast, dataclass_transform

import msgspec

T = TypeVar("T")
Json = dict[str, Any]
Upcaster = Callable[[Json], Json]


class EventSpec(msgspec.Struct, frozen=True):
    """The stored name of an event type and the version of its payload's schema."""

    name: str
    version: int
    type: type[Any]


_SPEC_ATTRIBUTE = "__modelog_event__"


@dataclass_transform(frozen_default=True, kw_only_default=False)
def event(name: str, version: int = 1) -> Callable[[type[T]], type[T]]:
    """Declare an event: the class becomes a frozen msgspec.Struct, stored under `name` and `version`, never its path.

    Fields are types that msgspec reads from JSON: str, int, float, bool, datetime, enums, lists, dicts, other structs.
    """

    def declare(cls: type[T]) -> type[T]:
        namespace = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
        make: Any = type(msgspec.Struct)
        struct = make(cls.__name__, (msgspec.Struct,), namespace, frozen=True)
        setattr(struct, _SPEC_ATTRIBUTE, EventSpec(name, version, struct))
        return cast("type[T]", struct)

    return declare


def spec_of(event_type: type[Any]) -> EventSpec:
    """The stored name and version of an event class."""
    spec = getattr(event_type, _SPEC_ATTRIBUTE, None)
    if not isinstance(spec, EventSpec):
        raise TypeError(f"{event_type.__name__} was not declared with @event")
    return spec


class EventTypes:
    """The event types that a service knows, with the upcasters that bring old payloads to today's schema."""

    def __init__(self, types: Iterable[type[Any]], upcasters: Mapping[tuple[str, int], Upcaster] | None = None) -> None:
        self._specs: dict[str, EventSpec] = {}
        for event_type in types:
            spec = spec_of(event_type)
            if spec.name in self._specs:
                raise ValueError(f"two event types are stored as {spec.name}")
            self._specs[spec.name] = spec
        self._upcasters = dict(upcasters or {})
        for name, spec in self._specs.items():
            missing = [v for v in range(1, spec.version) if (name, v) not in self._upcasters]
            if missing:
                raise ValueError(f"{name} {spec.version} lacks upcasters from versions {missing}")
        # Who folds an event and who makes rows of it read it one after the other.
        self._last: tuple[str, int, bytes, Any] = ("", 0, b"", None)
        self._decoders = {name: msgspec.json.Decoder(spec.type) for name, spec in self._specs.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._specs

    def encode(self, event: object) -> tuple[str, int, bytes]:
        """The event's stored name, schema version and JSON payload."""
        spec = spec_of(type(event))
        if self._specs.get(spec.name) is None:
            raise TypeError(f"{spec.name} does not belong to this service")
        return spec.name, spec.version, msgspec.json.encode(event)

    def decode(self, name: str, version: int, payload: bytes) -> Any:
        """Read a stored event, upcasting older versions; raises UnknownEvent for names or versions never declared."""
        spec = self._specs.get(name)
        if spec is None:
            raise UnknownEvent(f"event type {name} is not known to this service")
        if version == spec.version:
            last = self._last
            if last[2] is payload and last[:2] == (name, version):
                return last[3]
            event = self._decoders[name].decode(payload)
            self._last = (name, version, payload, event)
            return event
        if version > spec.version:
            raise UnknownEvent(f"{name} {version} was written by a newer release; this one reads up to {spec.version}")
        fields = msgspec.json.decode(payload)
        for old in range(version, spec.version):
            fields = self._upcasters[name, old](fields)
        return msgspec.convert(fields, spec.type)


class UnknownEvent(Exception):
    """An event that this release cannot read: its type was never declared here, or it comes from a newer release."""
