"""What of a service's requests and answers is hidden from the caller: what is about things of restricted workspaces.

The registry knows who is a member of which workspace, and is asked once for each request and answer. Of a user from
whom nothing of the tenant is hidden it is asked once a second at most; of who runs the tenant, and of services, never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import grpc.aio
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from modelog_proto.registry.v1.workspace_pb2 import FindHiddenRequest
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub

from modelog_common.domain.errors import NotFound
from modelog_common.rpc.call import call_or_none
from modelog_common.security.permissions import ADMIN

# A change of members, or of what a workspace is, counts here after so long.
FRESH_S = 1.0
AT_ONCE = 10_000
# Of how many users it is kept that nothing is hidden from them.
KEPT = 10_000
# What the registry itself knows by its name.
OF_REGISTRY = frozenset({"model", "experiment-name", "run"})
# Stands for a thing of which is known that it is hidden.
OUT_OF_SIGHT = ""
# (kind, name, tenant) to things of the registry, such as "model:flight-delay".
Resolve = Callable[[str, str, str], Awaitable[Sequence[str]]]
# What a message names, by kind and name, and the things of the registry that each is about.
About = Sequence[tuple[tuple[str, str], Sequence[str]]]


@dataclass(frozen=True)
class Vocabulary:
    """What fields name: by "Message.field", or by the field's name in any message.

    A kind that is not the registry's is the service's own: `resolve` tells which things of the registry it is about.
    """

    package: str
    fields: Mapping[str, str]

    def kind_of(self, field: FieldDescriptor) -> str:
        containing: Any = field.containing_type
        return self.fields.get(f"{containing.name}.{field.name}", self.fields.get(field.name, ""))


class Sight:
    """Guards a service's requests, and thins its answers out."""

    def __init__(self, registry: Callable[[], grpc.aio.Channel], vocabulary: Vocabulary, resolve: Resolve) -> None:
        self._registry, self._vocabulary, self._resolve = registry, vocabulary, resolve
        self._free: dict[tuple[str, str], float] = {}

    async def check(self, request: Message, permission: str) -> None:
        """Raises NotFound, which names what the request names and the caller may not know of."""
        if not await self._narrowed():
            return
        about = await self._about(request)
        _refuse(about, await self._hidden([thing for _, things in about for thing in things]))

    async def left_of(self, answer: Message) -> Message:
        """The answer without those of its entries that are hidden. Raises NotFound when it is itself about such."""
        if not await self._narrowed():
            return answer
        lists = [f for f in answer.DESCRIPTOR.fields if f.is_repeated and f.message_type is not None and not _is_map(f)]
        entries = [(f.name, n, entry) for f in lists for n, entry in enumerate(getattr(answer, f.name))]
        about = [await self._about(entry) for _, _, entry in entries]
        whole = await self._about(answer, besides={f.name for f in lists})
        things = [thing for found in (*about, whole) for _, inside in found for thing in inside]
        hidden = await self._hidden(things)
        _refuse(whole, hidden)
        # From the last one on, so that the places of the others stay.
        for (field, n, _), found in reversed(list(zip(entries, about, strict=True))):
            if any(hidden.intersection(inside) for _, inside in found):
                del getattr(answer, field)[n]
        return answer

    async def _narrowed(self) -> bool:
        """Whether anything of the tenant may be hidden from the caller."""
        call = call_or_none()
        if call is None or call.identity.may(ADMIN):
            return False
        who, now = (call.identity.tenant, call.identity.user), asyncio.get_running_loop().time()
        if now - self._free.get(who, -FRESH_S) < FRESH_S:
            return False
        answer = await WorkspacesStub(self._registry()).FindHidden(FindHiddenRequest())
        if answer.has_hidden_workspaces:
            self._free.pop(who, None)
            return True
        if len(self._free) >= KEPT:
            self._free.clear()
        self._free[who] = now
        return False

    async def _about(self, message: Any, besides: set[str] | None = None) -> About:
        """What a message names, with the things of the registry that it is about."""
        call = call_or_none()
        tenant = call.identity.tenant if call is not None else ""
        found = []
        for kind, name in dict.fromkeys(named(message, self._vocabulary, besides or set())):
            things = [f"{kind}:{name}"] if kind in OF_REGISTRY else await self._resolve(kind, name, tenant)
            found.append(((kind, name), things))
        return found

    async def _hidden(self, things: Sequence[str]) -> frozenset[str]:
        asked, hidden = list(dict.fromkeys(things)), {OUT_OF_SIGHT}
        for start in range(0, len(asked), AT_ONCE):
            request = FindHiddenRequest(things=[thing for thing in asked[start : start + AT_ONCE] if thing])
            hidden.update((await WorkspacesStub(self._registry()).FindHidden(request)).hidden)
        return frozenset(hidden)


def _refuse(about: About, hidden: frozenset[str]) -> None:
    """Raises NotFound for the first that is about something hidden."""
    for (kind, name), things in about:
        if hidden.intersection(things):
            raise NotFound(f"there is no {kind.replace('-name', '')} {name!r}")


def named(message: Any, vocabulary: Vocabulary, besides: set[str]) -> Iterator[tuple[str, str]]:
    """Everything that a message names, in the messages that it holds too, but for some of its own fields."""
    for name, is_list, kind in _fields(message.DESCRIPTOR, vocabulary.package, tuple(vocabulary.fields.items())):
        if name in besides:
            continue
        value = getattr(message, name)
        if kind:
            yield from ((kind, text) for text in (value if is_list else [value]) if text)
        elif is_list:
            for one in value:
                yield from named(one, vocabulary, set())
        elif message.HasField(name):
            yield from named(value, vocabulary, set())


@lru_cache(maxsize=1000)
def _fields(
    descriptor: Descriptor, package: str, fields: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, bool, str], ...]:
    """Name, whether it is a list, and the kind of what it names: "" for a message, which is looked into."""
    vocabulary, found = Vocabulary(package, dict(fields)), []
    for field in descriptor.fields:
        kind = vocabulary.kind_of(field) if field.type == FieldDescriptor.TYPE_STRING else ""
        inner: Any = field.message_type
        if kind or (inner is not None and inner.full_name.startswith("modelog.") and not _is_map(field)):
            found.append((field.name, bool(field.is_repeated), kind))
    return tuple(found)


def _is_map(field: Any) -> bool:
    inner = field.message_type
    return inner is not None and bool(inner.GetOptions().map_entry)
