"""Snapshots: a cache of folded states, so that a long stream is not folded from its first event again.

A snapshot is ignored unless the code that would fold the stream now is the code that folded it, its checksum holds, and
the log has the very event that it stands on. It is never migrated; losing all of them costs time only.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

import msgspec

import modelog_common
from modelog_common.domain.decider import Decider

State = TypeVar("State")
# What folds besides the service's own package: the domain's types, and the reading of events.
SHARED = ("domain", "events")


class Snapshot(msgspec.Struct, frozen=True):
    """A stream's state after its event `event_id`, which has this version and position.

    `code` names the code that folded it, `checksum` covers all the rest.
    """

    stream: str
    version: int
    position: int
    event_id: str
    code: str
    state: bytes
    checksum: bytes = b""

    def sealed(self) -> Snapshot:
        """The same with its checksum."""
        return msgspec.structs.replace(self, checksum=self._sum())

    @property
    def whole(self) -> bool:
        return self.checksum == self._sum()

    def _sum(self) -> bytes:
        parts = (self.stream, self.version, self.position, self.event_id, self.code, self.state)
        return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()


class Snapshots(Protocol):
    """Where the newest snapshot of each stream is kept. It may forget any of them at any time."""

    async def find(self, stream: str) -> Snapshot | None:
        """The snapshot that was kept last."""
        ...

    async def keep(self, snapshot: Snapshot) -> None:
        """Keep a snapshot in place of an older one of its stream; one that is not newer is let go."""
        ...

    async def clear(self) -> None:
        """Forget all, and leave no copy of them."""
        ...

    async def close(self) -> None: ...


class StateCodec(Generic[State]):
    """Turns the states of one decider into bytes and back."""

    def __init__(self, decider: Decider[State, Any, Any]) -> None:
        self._decider = decider

    @cached_property
    def code(self) -> str:
        return code_of(self._decider.evolve)

    @cached_property
    def _decoder(self) -> msgspec.msgpack.Decoder[State]:
        return msgspec.msgpack.Decoder(type(self._decider.initial()))

    def encode(self, state: State) -> bytes:
        """Raises ValueError, OverflowError or TypeError for a state with a value that has no stored form."""
        return msgspec.msgpack.encode(state)

    def decode(self, snapshot: Snapshot) -> State | None:
        """The state, or None when the snapshot is stale or damaged."""
        if snapshot.code != self.code or not snapshot.whole:
            return None
        return self._decoder.decode(snapshot.state)


def code_of(evolve: Callable[..., Any]) -> str:
    """A digest of all the code that may take part in a fold: the service's package, domain types, and event reading.

    A version number for a state's fields would miss an `evolve` that folds the same fields otherwise.
    """
    module = sys.modules[evolve.__module__]
    package = sys.modules.get(module.__name__.partition(".")[0], module)
    whole = package if package.__file__ else module
    digest = hashlib.sha256(_source_digest(_root_of(whole)).encode())
    for name in SHARED:
        digest.update(_source_digest(_root_of(modelog_common) / name).encode())
    return digest.hexdigest()


def _root_of(module: ModuleType) -> Path:
    """A package's folder, or the file of a module that is in none."""
    file = Path(str(module.__file__))
    return file.parent if file.name == "__init__.py" else file


@cache
def _source_digest(root: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        digest.update(str(file.relative_to(root)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
