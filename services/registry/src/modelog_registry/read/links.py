"""Links as they can be looked up, and what they show."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import StoredEvent
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Queries
from modelog_common.read.tables import Change, Put, temporal_table
from modelog_common.read.text import ByteText
from modelog_common.rpc.call import calling
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2
from modelog_proto.registry.v1 import link_pb2 as pb
from sqlalchemy import BigInteger, Column, ColumnElement

from modelog_registry.link.decide import Link
from modelog_registry.link.events import LinkMade, Shared
from modelog_registry.read.columns import microseconds
from modelog_registry.read.messages import timestamp
from modelog_registry.read.models.model_queries import ModelQueries
from modelog_registry.read.models.model_tables import called
from modelog_registry.read.queries import TableQueries, existing
from modelog_registry.read.runs.tracking import TrackingQueries
from modelog_registry.read.tables import TABLES

LINKS = temporal_table(
    TABLES,
    "links",
    key=["link_id"],
    columns=[
        # The id of a model; empty for what is none.
        Column("entity", ByteText(40), nullable=False),
        Column("experiment_id", ByteText(40), nullable=False),
        Column("run_id", ByteText(100), nullable=False),
        Column("model", ByteText(), nullable=False),
        Column("version", ByteText(40), nullable=False),
        Column("made_us", BigInteger, nullable=False),
    ],
    orders=[["made_us"]],
)
# How many runs of an experiment are shown with it, the newest.
RUNS_SHOWN = 100


def link_rows(link: Link, stored: StoredEvent) -> Sequence[Change]:
    if link.made is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the link was made")
    shared = link.made.shared
    values = {
        "entity": shared.model_id,
        "experiment_id": shared.experiment_id,
        "run_id": shared.run_id,
        "model": shared.model,
        "version": shared.version,
        "made_us": microseconds(link.made.at),
    }
    return [Put(LINKS, {"link_id": link.made.link_id}, _message(link, link.made, stored.position), values)]


def link_message(link: Link, made: LinkMade, position: int) -> pb.Link:
    return pb.Link(
        id=made.link_id,
        experiment_id="" if made.shared.run_id else made.shared.experiment_id,
        run_id=made.shared.run_id,
        model=made.shared.model,
        version=made.shared.version,
        expires_at=timestamp(made.expires_at),
        by=made.by,
        at=timestamp(made.at),
        revoked_by=link.revoked.by if link.revoked is not None else "",
        revoked_at=timestamp(link.revoked.at) if link.revoked is not None else None,
        position=position,
    )


def _message(link: Link, made: LinkMade, position: int) -> bytes:
    return link_message(link, made, position).SerializeToString()


class LinkQueries(TableQueries):
    """What does not exist as of the moment raises NotFound, which names it."""

    def __init__(self, queries: Queries, tracking: TrackingQueries, models: ModelQueries) -> None:
        super().__init__(queries)
        self._tracking, self._models = tracking, models

    async def link(self, link_id: str, read: ReadOptions, tenant: str) -> pb.Link:
        found = await self._queries.one(LINKS, pb.Link, read, tenant, link_id=link_id)
        return existing(found, f"there is no link {link_id!r}", read)

    async def links(self, request: pb.ListLinksRequest, tenant: str) -> Found[pb.Link]:
        """Those of what is named, or all; newest first."""
        t = LINKS.table.c
        named = (
            (t.experiment_id, request.experiment_id),
            (t.run_id, request.run_id),
            (t.version, request.version),
        )

        def where(at: int | None) -> list[ColumnElement[bool]]:
            of_model = called(t.entity, request.model, tenant, at) if request.model else []
            return [*of_model, *(column == name for column, name in named if name)]

        return await self._queries.page(
            LINKS, pb.Link, request.read, tenant, request.page, where=where, order_by=[t.made_us.desc()]
        )

    async def shared_of(self, request: pb.CreateLinkRequest, tenant: str) -> Shared:
        """What a request wants to share; raises NotFound when it is not there, Invalid when it is not one thing."""
        now = common.ReadOptions()
        match (bool(request.experiment_id), bool(request.run_id), bool(request.model), bool(request.version)):
            case (True, False, False, False):
                return Shared(experiment_id=(await self._tracking.experiment(request.experiment_id, now, tenant)).id)
            case (False, True, False, False):
                run = await self._tracking.run(request.run_id, now, tenant)
                return Shared(experiment_id=run.experiment_id, run_id=run.id)
            case (False, False, True, True):
                version = await self._models.version(request.model, request.version, now, tenant)
                named = await self._models.model(request.model, now, tenant)
                return Shared(model=version.model, version=version.version, model_id=named.id)
            case _:
                raise Invalid.field("experiment_id", "name one thing: experiment_id, run_id, or model and version")

    async def shown(self, made: LinkMade) -> pb.SharedThing:
        """What a link shows, now, to whoever opened it."""
        shared, now = made.shared, common.ReadOptions()
        answer = pb.SharedThing(by=made.by, expires_at=timestamp(made.expires_at))
        # Nobody's membership is asked for: the link is the permission.
        with calling(None):
            if shared.model:
                model = await self._models.name_of(shared.model_id, made.tenant) or shared.model
                version = await self._models.version(model, shared.version, now, made.tenant)
                answer.version.CopyFrom(version)
            elif shared.run_id:
                answer.run.CopyFrom(await self._tracking.run_with_points(shared.run_id, now, made.tenant))
            else:
                asked = experiment_pb2.SearchRunsRequest(
                    experiment_ids=[shared.experiment_id], page=common.Page(size=RUNS_SHOWN)
                )
                answer.experiment.CopyFrom(await self._tracking.experiment(shared.experiment_id, now, made.tenant))
                answer.runs.extend((await self._tracking.search_runs(asked, made.tenant)).runs)
        return answer
