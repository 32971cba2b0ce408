"""The registry's answers about signatures, as of a moment."""

from __future__ import annotations

from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.registry.v1 import sign_pb2 as pb

from modelog_registry.model.signed import VersionSigned
from modelog_registry.read.messages import artifact_message, timestamp
from modelog_registry.read.models.model_tables import SIGNATURES, called


def signature_message(event: VersionSigned, position: int) -> pb.ModelSignature:
    return pb.ModelSignature(
        model=event.model,
        version=event.version,
        key=event.key,
        signature=artifact_message(event.signature),
        files=[artifact_message(file) for file in event.files],
        by=event.by,
        at=timestamp(event.at),
        position=position,
    )


class SignatureQueries:
    """Queries over the read tables."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def signatures(
        self, model: str, version: str, page: Page, read: ReadOptions, tenant: str
    ) -> Found[pb.ModelSignature]:
        """Those of a version, newest first."""
        t = SIGNATURES.table.c
        return await self._queries.page(
            SIGNATURES,
            pb.ModelSignature,
            read,
            tenant,
            page,
            where=lambda at: [*called(t.entity, model, tenant, at), t.version == version],
            order_by=[t.ordinal.desc()],
        )
