"""What of this service's answers is hidden from the caller: the registry knows who is a member of which workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import grpc.aio
from modelog_common.rpc.call import current_call
from modelog_common.security.permissions import ADMIN
from modelog_common.stores.search import Found
from modelog_proto.registry.v1.workspace_pb2 import FindHiddenRequest
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub

from modelog_lineage.graph.trace import Traced
from modelog_lineage.graph.vocabulary import Kind

# What the registry calls the things of the graph and of the catalogue that a workspace may hold.
THINGS: Mapping[str, str] = {
    Kind.EXPERIMENT: "experiment-name",
    Kind.RUN: "run",
    Kind.MODEL: "model",
    Kind.MODEL_VERSION: "version",
    # "model/number": it is where its model is.
    Kind.CHANGE_REQUEST: "version",
}
AT_ONCE = 10_000
REGISTRY = "registry."


@dataclass(frozen=True)
class Hidden:
    """What is hidden of what was asked about, and whether the caller may see less than all."""

    ids: frozenset[str] = frozenset()
    narrowed: bool = False


class Sight:
    """Asks the registry, as the caller; who runs the tenant sees all. Where there is no registry nothing is hidden."""

    def __init__(self, registry: Callable[[], grpc.aio.Channel] | None) -> None:
        self._registry = registry

    async def nodes(self, ids: Sequence[str]) -> Hidden:
        """Which nodes of the graph, or entries of the catalogue, are hidden."""
        return await self._of({node: thing for node in ids if (thing := _thing_of(node))})

    async def streams(self, streams: Iterable[str]) -> frozenset[str]:
        """Of which streams the events are hidden."""
        names = {stream: f"stream:{stream}" for stream in streams if stream.startswith(REGISTRY)}
        return (await self._of(names)).ids if names else frozenset()

    async def _of(self, things: dict[str, str]) -> Hidden:
        if self._registry is None or current_call().identity.may(ADMIN):
            return Hidden()
        stub, asked = WorkspacesStub(self._registry()), list(things.values())
        hidden: set[str] = set()
        narrowed = False
        for start in range(0, max(len(asked), 1), AT_ONCE):
            answer = await stub.FindHidden(FindHiddenRequest(things=asked[start : start + AT_ONCE]))
            hidden.update(answer.hidden)
            narrowed = answer.has_hidden_workspaces
        return Hidden(frozenset(name for name, thing in things.items() if thing in hidden), narrowed)


def _thing_of(node: str) -> str:
    kind, _, key = node.partition(":")
    known = THINGS.get(kind)
    return f"{known}:{key}" if known else ""


def without(traced: Traced, hidden: frozenset[str]) -> Traced:
    """The graph without hidden nodes, and without what was reached through them only; the first node is in sight."""
    edges = [edge for edge in traced.edges if edge.source not in hidden and edge.target not in hidden]
    near: dict[str, list[str]] = {}
    for edge in edges:
        near.setdefault(edge.source, []).append(edge.target)
        near.setdefault(edge.target, []).append(edge.source)
    reached, waiting = {traced.nodes[0].id}, [traced.nodes[0].id]
    while waiting:
        beyond = [node for node in near.get(waiting.pop(), ()) if node not in reached]
        reached.update(beyond)
        waiting += beyond
    return Traced(
        [node for node in traced.nodes if node.id in reached],
        [edge for edge in edges if edge.source in reached and edge.target in reached],
    )


def in_sight(found: Found, hidden: Hidden) -> Found:
    """A page of the catalogue without hidden entries; counts, which would tell of others, are left out with them."""
    if not hidden.narrowed:
        return found
    documents = [document for document in found.documents if document.id not in hidden.ids]
    return replace(found, documents=documents, total=len(documents), kinds={}, tags={})
