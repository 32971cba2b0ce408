"""What models are counted by: what their versions can be loaded as, type, stage and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelog_common.read.queries import Queries
from modelog_proto.registry.v1 import model_pb2 as pb
from sqlalchemy import ColumnElement, Select, func, select

from modelog_registry.read.models.model_search import SEARCHED_MODELS, conditions_of
from modelog_registry.read.models.model_tables import MODEL_TAGS, MODELS, VERSIONS
from modelog_registry.read.places import MODEL, inside
from modelog_registry.read.words.text_documents import MODEL as TEXT_OF_MODEL
from modelog_registry.read.words.texts import Words

USUAL_VALUES = 20
_M, _V, _T = MODELS.table.c, VERSIONS.table.c, MODEL_TAGS.table.c


async def count_models(
    queries: Queries, request: pb.CountModelsRequest, tenant: str, words: Words
) -> pb.CountModelsResponse:
    """How many models the conditions hold for, and how many of them have each value."""
    conditions = conditions_of(SEARCHED_MODELS, request.conditions, queries.dialect)
    at = await queries.position(request.read)
    place = inside(MODEL, _M.entity, tenant, at, request.workspace, request.project)
    met = select(_M.name).where(*await queries.rows_of(MODELS, tenant, at), *conditions(tenant, at), *place)
    if request.text:
        met = met.where(_M.entity.in_(await words(tenant, request.text, TEXT_OF_MODEL, at)))
    most = request.values or USUAL_VALUES

    def of_versions(value: ColumnElement[str]) -> Select[Any]:
        there = _counted([value.label("value")], func.count(_V.model.distinct()))
        return there.where(_V.tenant == tenant, VERSIONS.at(at), _V.model.in_(met), value != "")

    types = _counted([_M.type.label("value")], func.count())
    tags = _counted([_T.tag.label("key"), _T.value.label("value")], func.count())
    questions = {
        "flavor": of_versions(_V.flavor),
        "type": types.where(_M.tenant == tenant, MODELS.at(at), _M.name.in_(met), _M.type != ""),
        "stage": of_versions(_V.stage),
        "tag": tags.where(_T.tenant == tenant, MODEL_TAGS.at(at), _T.tagged.in_(met)),
    }
    (total,) = await queries.fetch(select(func.count().label("models")).select_from(met.subquery()))
    answer = pb.CountModelsResponse(models=total.models)
    for name, question in questions.items():
        answer.facets.append(_facet(name, await queries.fetch(question.limit(most + 1)), most))
    return answer


def _counted(values: Sequence[ColumnElement[str]], count: ColumnElement[int]) -> Select[Any]:
    """The commonest first, equally common ones by name: the answer as of a position is the same for ever."""
    columns: list[Any] = [*values, count.label("models")]
    return select(*columns).group_by(*values).order_by(count.desc(), *values)


def _facet(name: str, rows: Sequence[Any], most: int) -> pb.ModelFacet:
    counts = [pb.ModelCount(key=getattr(row, "key", ""), value=row.value, models=row.models) for row in rows[:most]]
    return pb.ModelFacet(name=name, counts=counts, more=len(rows) > most)
