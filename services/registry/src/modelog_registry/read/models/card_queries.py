"""The registry's answers about model cards, as of a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from google.protobuf.struct_pb2 import Struct
from modelog_common.domain.errors import NotFound
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Queries
from modelog_proto.registry.v1 import card_pb2 as pb
from modelog_proto.registry.v1 import experiment_pb2, model_pb2

from modelog_registry.card.bom import bom_json
from modelog_registry.card.build import Known, card_of, facts_of, missing_of
from modelog_registry.read.canonical import digest_of
from modelog_registry.read.models.model_queries import ModelQueries
from modelog_registry.read.models.model_tables import CARDS, MODELS
from modelog_registry.read.queries import RegistryQueries, existing

# (run id, moment, tenant); it raises NotFound.
RunOf: TypeAlias = Callable[[str, ReadOptions, str], Awaitable[experiment_pb2.Run]]


class CardQueries:
    """Cards are made when they are asked for: nothing in them is kept but what people wrote."""

    def __init__(self, queries: Queries, models: ModelQueries, registry: RegistryQueries, run_of: RunOf) -> None:
        self._queries, self._models, self._registry, self._run_of = queries, models, registry, run_of

    async def card(self, model: str, version: str, read: ReadOptions, tenant: str) -> pb.ModelCard:
        return card_message(await self._known(model, version, read, tenant))

    async def rendered(self, model: str, version: str, read: ReadOptions, tenant: str) -> pb.RenderedModelCard:
        # Templates and Markdown, which a start need not load.
        from modelog_registry.card.page import as_html, as_markdown

        known = await self._known(model, version, read, tenant)
        card = card_message(known)
        points = known.run.points if known.run is not None else ()
        return pb.RenderedModelCard(
            html=as_html(known, points), markdown=as_markdown(known), digest=card.digest, position=card.position
        )

    async def bom(self, model: str, version: str, read: ReadOptions, tenant: str) -> pb.ModelBom:
        known = await self._known(model, version, read, tenant)
        text = bom_json(known)
        return pb.ModelBom(json=text, digest=hashlib.sha256(text.encode()).hexdigest(), position=_position(known))

    async def _known(self, model: str, version: str, read: ReadOptions, tenant: str) -> Known:
        found = await self._models.version(model, version, read, tenant)
        whole = await self._queries.one(MODELS, model_pb2.Model, read, tenant, name=model)
        written = await self._queries.one(CARDS, pb.ModelCard, read, tenant, model=model, version=version)
        datasets = [await self._registry.dataset_version(d.dataset, d.version, read, tenant) for d in found.datasets]
        run = None
        if found.run_id:
            # A run in a workspace that the reader may not look into is told nothing of.
            with suppress(NotFound):
                run = await self._run_of(found.run_id, read, tenant)
        return Known(
            existing(whole, f"there is no model {model!r}", read), found, written or pb.ModelCard(), datasets, run
        )


def card_message(known: Known) -> pb.ModelCard:
    """The card with its digest."""
    card, facts, written = Struct(), Struct(), known.written
    card.update(card_of(known))
    facts.update(facts_of(known))
    message = pb.ModelCard(
        model=known.version.model,
        version=known.version.version,
        card=card,
        digest=digest_of(card),
        facts=facts,
        parts=written.parts,
        missing=missing_of(known),
        edited_by=written.edited_by,
        position=_position(known),
        taken_from=written.taken_from,
    )
    if written.HasField("edited_at"):
        message.edited_at.CopyFrom(written.edited_at)
    return message


def _position(known: Known) -> int:
    """Where the last event stands that is told of."""
    return max(known.version.position, known.run.position if known.run is not None else 0)
