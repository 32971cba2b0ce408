"""Where experiments and models are, as of a moment: a row for each, which stays when it is deleted."""

from __future__ import annotations

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import EventStore
from modelog_common.read.queries import Queries
from modelog_common.read.tables import Put, temporal_table
from modelog_common.read.text import ByteText
from modelog_proto.common.v1 import common_pb2 as common
from sqlalchemy import Column, ColumnElement, func, select

from modelog_registry.place import Place
from modelog_registry.read.models.model_tables import MODELS
from modelog_registry.read.tables import EXPERIMENTS, TABLES

EXPERIMENT, MODEL = "experiment", "model"
PLACES = temporal_table(
    TABLES,
    "places",
    key=["kind", "thing"],
    columns=[Column("workspace", ByteText(63), nullable=False), Column("project", ByteText(63), nullable=False)],
    # Without the kind, which would make it longer than an index of MariaDB may be.
    orders=[["workspace", "thing"]],
)


def placed(kind: str, thing: str, place: Place) -> Put:
    """The row of an experiment or a model, by its id."""
    return Put(PLACES, {"kind": kind, "thing": thing}, b"", {"workspace": place.workspace, "project": place.project})


def inside(
    kind: str, thing: ColumnElement[str], tenant: str, at: int | None, workspace: str, project: str
) -> list[ColumnElement[bool]]:
    """That something is in a workspace or in one of its projects; nothing when none is named."""
    if not workspace:
        if project:
            raise Invalid.field("project", "is given without its workspace; name both")
        return []
    c = PLACES.table.c
    where = [c.tenant == tenant, PLACES.at(at), c.kind == kind, c.workspace == workspace]
    where += [c.project == project] if project else []
    return [thing.in_(select(c.thing).where(*where))]


async def held(queries: Queries, store: EventStore, tenant: str, workspace: str, project: str = "") -> int:
    """How many experiments and models that are not deleted are in a workspace, by all that the log says now."""
    await queries.moment(common.ReadOptions(at_least=await store.head()))
    e, m = EXPERIMENTS.table.c, MODELS.table.c
    counted = [
        select(func.count()).where(
            e.tenant == tenant,
            EXPERIMENTS.at(None),
            e.hidden == 0,
            *inside(EXPERIMENT, e.experiment_id, tenant, None, workspace, project),
        ),
        select(func.count()).where(
            m.tenant == tenant, MODELS.at(None), *inside(MODEL, m.entity, tenant, None, workspace, project)
        ),
    ]
    return sum([(await queries.fetch(one))[0][0] for one in counted])
