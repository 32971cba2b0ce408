"""The registry's answers about models: one thing, a page of them, or what a search finds; as of a moment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from modelog_common.domain.errors import NotFound
from modelog_common.protobuf_wire import head
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import AsStored, Found, Page
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2 as pb
from sqlalchemy import ColumnElement, and_, bindparam, func, select

from modelog_registry.model.stage import Stage
from modelog_registry.read.models.facets import count_models
from modelog_registry.read.models.model_search import SEARCHED_MODELS, SEARCHED_VERSIONS, conditions_of, order_of
from modelog_registry.read.models.model_tables import MODEL_FACTS, MODELS, VERSIONS, called
from modelog_registry.read.places import MODEL, inside
from modelog_registry.read.queries import TableQueries, existing
from modelog_registry.read.words.text_documents import MODEL as TEXT_OF_MODEL
from modelog_registry.read.words.texts import Words, no_words

_V = VERSIONS.table.c
_VERSION_ROWS = select(_V.model, _V.version, _V.ordinal, _V.body).order_by(_V.model, _V.ordinal.desc())
# The field `versions` of Model, whose wire type has a length.
_VERSIONS_TAG = pb.Model.VERSIONS_FIELD_NUMBER << 3 | 2


class ModelQueries(TableQueries):
    """Queries over the read tables. What does not exist as of the moment raises NotFound, which names it."""

    async def model(self, name: str, read: ReadOptions, tenant: str) -> pb.Model:
        """A model with all its versions, newest first."""
        found = await self._queries.one(MODELS, AsStored, read, tenant, name=name)
        (model,) = await self._with_versions([existing(found, f"there is no model {name!r}", read)], tenant)
        return pb.Model.FromString(model)

    async def name_of(self, model_id: str, tenant: str) -> str:
        """What a model is called now; empty when it is not there."""
        c = MODELS.table.c
        rows = [*await self._queries.rows_of(MODELS, tenant, None), c.entity == model_id]
        return next((row.name for row in await self._queries.fetch(select(c.name).where(*rows))), "")

    async def models(self, request: pb.ListModelsRequest, tenant: str) -> Found[pb.Model]:
        """Models with all their versions, by name."""
        where = partial(_inside, request, tenant) if request.workspace or request.project else ()
        found = await self._queries.page(MODELS, AsStored, request.read, tenant, request.page, where=where)
        models = await self._with_versions(found.items, tenant)
        return Found([pb.Model.FromString(model) for model in models], found.next_page_token)

    async def search_models(
        self, request: pb.SearchModelsRequest, tenant: str, words: Words = no_words
    ) -> pb.SearchModelsResponse:
        """Models that the conditions hold for, with all their versions or with those that stand for them."""
        conditions = conditions_of(SEARCHED_MODELS, request.conditions, self._queries.dialect)
        order_by = order_of(SEARCHED_MODELS, request.order_by)

        def where(at: int | None) -> list[ColumnElement[bool]]:
            return [*conditions(tenant, at), *_inside(request, tenant, at)]

        async def ids_at(at: int, offset: int, limit: int) -> Sequence[str]:
            c, best = MODELS.table.c, await words(tenant, request.text, TEXT_OF_MODEL, at)
            rows = await self._queries.rows_of(MODELS, tenant, at)
            asked = select(c.name, c.entity).where(*rows, *where(at), c.entity.in_(best)).order_by(*order_by, c.name)
            if request.order_by:
                return [row.name for row in await self._queries.fetch(asked.limit(limit).offset(offset))]
            met = {row.entity: row.name for row in await self._queries.fetch(asked)}
            return [met[one] for one in best if one in met][offset : offset + limit]

        asked = (MODELS, AsStored, request.read, tenant, request.page)
        if request.text:
            found = await self._queries.search(*asked, ids_at)
        else:
            found = await self._queries.page(*asked, where=where, order_by=order_by)
        models = await self._with_versions(found.items, tenant, newest_only=request.newest_versions_only)
        token = found.next_page_token
        if request.encoded:
            return pb.SearchModelsResponse(encoded_models=models, next_page_token=token)
        parsed = [pb.Model.FromString(model) for model in models]
        return pb.SearchModelsResponse(models=parsed, next_page_token=token)

    async def count_models(
        self, request: pb.CountModelsRequest, tenant: str, words: Words = no_words
    ) -> pb.CountModelsResponse:
        return await count_models(self._queries, request, tenant, words)

    async def search_versions(self, request: pb.SearchVersionsRequest, tenant: str) -> Found[pb.ModelVersion]:
        """Versions that the conditions hold for."""
        conditions = conditions_of(SEARCHED_VERSIONS, request.conditions, self._queries.dialect)
        return await self._queries.page(
            VERSIONS,
            pb.ModelVersion,
            request.read,
            tenant,
            request.page,
            where=lambda at: conditions(tenant, at),
            order_by=order_of(SEARCHED_VERSIONS, request.order_by),
        )

    async def _with_versions(self, bodies: Sequence[bytes], tenant: str, *, newest_only: bool = False) -> list[bytes]:
        """Stored models with all their versions, or with the newest in each stage and those that aliases point to.

        As of the models' last event: no other event of these models lies between theirs and that one.
        """
        if not bodies:
            return []
        models = [pb.Model.FromString(body) for body in bodies]
        at, names = _last_of(models), [model.name for model in models]
        found = await self._stored_versions(tenant, at, names, *([_is_newest(tenant, at)] if newest_only else ()))
        if newest_only:
            for model in models:
                if not model.aliases:
                    continue
                told = found[model.name]
                missing = {alias.version for alias in model.aliases} - {row.version for row in told}
                if missing:
                    more = await self._stored_versions(tenant, at, [model.name], _V.version.in_(missing))
                    told += more[model.name]
                    told.sort(key=lambda row: row.ordinal, reverse=True)
        return [
            b"".join([body, *[part for row in found[name] for part in (head(_VERSIONS_TAG, len(row.body)), row.body)]])
            for body, name in zip(bodies, names, strict=True)
        ]

    async def _stored_versions(
        self, tenant: str, at: int, names: Sequence[str], *where: ColumnElement[bool]
    ) -> dict[str, list[Any]]:
        """The versions of each of these models, newest first, as they are stored."""
        # The library looks at each of many values that it is given by themselves.
        named = _V.model.in_(bindparam("names", names, _V.model.type, expanding=True))
        rows = [*await self._queries.rows_of(VERSIONS, tenant, at), named, *where]
        found: dict[str, list[Any]] = {name: [] for name in names}
        for row in await self._queries.fetch(_VERSION_ROWS.where(*rows)):
            found[row.model].append(row)
        return found

    async def version(self, model: str, version: str, read: ReadOptions, tenant: str) -> pb.ModelVersion:
        found = await self._queries.one(VERSIONS, pb.ModelVersion, read, tenant, model=model, version=version)
        return existing(found, f"there is no version {version!r} of a model {model!r}", read)

    async def version_by_alias(self, model: str, alias: str, read: ReadOptions, tenant: str) -> pb.ModelVersion:
        """The version that an alias points to."""
        found = await self._queries.one(MODELS, pb.Model, read, tenant, name=model)
        aliases = {a.alias: a.version for a in existing(found, f"there is no model {model!r}", read).aliases}
        if alias not in aliases:
            known = ", ".join(sorted(aliases)) or "none"
            raise NotFound(f"model {model!r} has no alias {alias!r}; it has {known}")
        moment = common.ReadOptions(as_of=str(found.position)) if found is not None else read
        return await self.version(model, aliases[alias], moment, tenant)

    async def versions(
        self, model: str, stage: Stage | None, page: Page, read: ReadOptions, tenant: str
    ) -> Found[pb.ModelVersion]:
        """Versions of one model or, for an empty name, of all; newest first."""
        t = VERSIONS.table.c
        where = [t.model == model] if model else []
        where += [t.stage == stage.value] if stage is not None else []
        return await self._queries.page(
            VERSIONS,
            pb.ModelVersion,
            read,
            tenant,
            page,
            where=where,
            order_by=[t.created_us.desc(), t.ordinal.desc()],
        )

    async def history(
        self, model: str, version: str, page: Page, read: ReadOptions, tenant: str
    ) -> Found[pb.ModelFact]:
        """What happened to a model, or to one of its versions, oldest first; also when it is deleted."""
        t = MODEL_FACTS.table.c
        of_version = [t.version == version] if version else []
        found = await self._queries.page(
            MODEL_FACTS,
            pb.ModelFact,
            read,
            tenant,
            page,
            where=lambda at: [*called(t.entity, model, tenant, at), *of_version],
            order_by=[t.ordinal],
        )
        if not found.items and not page.token:
            raise NotFound(f"nothing ever happened to {f'version {version!r} of ' if version else ''}a model {model!r}")
        return found


def _inside(
    request: pb.ListModelsRequest | pb.SearchModelsRequest, tenant: str, at: int | None
) -> list[ColumnElement[bool]]:
    return inside(MODEL, MODELS.table.c.entity, tenant, at, request.workspace, request.project)


def _last_of(models: Sequence[pb.Model]) -> int:
    return max(model.position for model in models)


@lru_cache(maxsize=256)
def _is_newest(tenant: str, at: int) -> ColumnElement[bool]:
    """Whether a version is the newest of its model in its stage, as of a position."""
    t, others = VERSIONS.table.c, VERSIONS.named("others")
    o = others.table.c
    same = and_(o.tenant == tenant, others.at(at), o.model == t.model, o.stage == t.stage)
    return t.ordinal == select(func.max(o.ordinal)).where(same).correlate(VERSIONS.table).scalar_subquery()
