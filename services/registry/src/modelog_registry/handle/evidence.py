"""Looks at what a change request leans on, so that the digest of what was seen is in the log."""

from __future__ import annotations

import msgspec
from google.protobuf.message import Message
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.events.store import EventStore
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import compare_pb2

from modelog_registry.compare.compare import Comparer, RunOf
from modelog_registry.handle.artifacts import Artifacts
from modelog_registry.model.change_events import Evidence, EvidenceKind
from modelog_registry.read.canonical import digest_of
from modelog_registry.read.models.card_queries import CardQueries


class Evidences:
    """Files are in the artifact store; runs, cards and comparisons are asked for as of the log's last position."""

    def __init__(
        self, store: EventStore, artifacts: Artifacts, run_of: RunOf, comparer: Comparer, cards: CardQueries
    ) -> None:
        self._store, self._artifacts, self._run_of = store, artifacts, run_of
        self._comparer, self._cards = comparer, cards

    async def look(self, given: Evidence, field: str, tenant: str) -> Evidence:
        """The same with its digest and, of what is no file, the position; raises Invalid for what is not there."""
        if given.digest:
            await self._check_file(given.digest, f"{field}.digest", tenant)
            return given
        position = await self._store.head()
        try:
            seen = await self._seen(given, field, common.ReadOptions(as_of=str(position)), tenant)
        except NotFound as missing:
            raise Invalid.field(f"{field}.link", str(missing)) from None
        return msgspec.structs.replace(given, digest=digest_of(seen), position=position)

    async def _seen(self, given: Evidence, field: str, read: common.ReadOptions, tenant: str) -> Message:
        match given.kind:
            case EvidenceKind.RUN:
                return await self._run_of(given.link, read, tenant)
            case EvidenceKind.COMPARISON:
                versions = given.link.split(",")
                if len(versions) < 2 or not all("/" in named for named in versions):
                    raise Invalid.field(
                        f"{field}.link",
                        f"{given.link!r} names no versions to compare; write model/version,model/version, or give the "
                        "digest of a report",
                    )
                return await self._comparer.versions(
                    compare_pb2.CompareVersionsRequest(versions=versions, read=read), tenant
                )
            case EvidenceKind.MODEL_CARD:
                model, _, version = given.link.partition("/")
                return (await self._cards.card(model, version, read, tenant)).card
            case _:
                raise Invalid.field(f"{field}.digest", f"is missing; a {given.kind} is a file: upload it, and name it")

    async def _check_file(self, digest: str, field: str, tenant: str) -> None:
        try:
            await self._artifacts.size(tenant, digest)
        except NotFound:
            raise Invalid.field(field, f"{digest} is not in the artifact store; upload it first") from None
