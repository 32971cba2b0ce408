"""The registry's own projections and queries answer the same bytes on every database: give it `open_tables`."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import ModelogError, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.domain.semver import SemanticVersion
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.read import tables
from modelog_common.read.database import open_database
from modelog_common.read.project import Projector
from modelog_common.read.queries import Found, Queries
from modelog_common.stores.curves import CurveStore
from modelog_common.stores.curves.sqlite import SqliteCurveStore
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.registry.v1 import experiment_pb2, model_pb2, search_pb2
from modelog_proto.registry.v1.experiment_pb2 import SearchRunsRequest
from modelog_proto.registry.v1.search_pb2 import Comparison
from modelog_registry.artifact import Artifact
from modelog_registry.dataset.commands import RegisterDatasetVersion
from modelog_registry.dataset.decide import DATASET
from modelog_registry.events import EVENTS
from modelog_registry.experiment.commands import CreateExperiment
from modelog_registry.experiment.decide import EXPERIMENT
from modelog_registry.handle.acknowledged import Acknowledged
from modelog_registry.handle.metrics import Metrics
from modelog_registry.handle.sealing import Sealing
from modelog_registry.model.commands import (
    DeleteAlias,
    DeleteModel,
    DeleteVersion,
    PromoteVersion,
    RegisterModel,
    RegisterVersion,
    ReviewVersion,
    SetAlias,
    TagModel,
    TagVersion,
)
from modelog_registry.model.decide import MODEL
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import Decision, Stage
from modelog_registry.read.models.model_queries import ModelQueries
from modelog_registry.read.project import projections
from modelog_registry.read.queries import RegistryQueries
from modelog_registry.read.runs.tracking import TrackingQueries
from modelog_registry.read.tables import TABLES
from modelog_registry.run.commands import EndRun, LogInputs, LogRun, Measured, SealMetrics, StartRun, TagRun
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import DatasetInput, Point, RunStatus
from named_things import OpenTables
from sqlalchemy.ext.asyncio import AsyncEngine

SIGNATURE = Signature((Tensor("x", "FP32", (-1,)),), (Tensor("y", "FP32", (-1,)),))
Asked = tuple[RegistryQueries, ModelQueries, TrackingQueries]
AT = datetime(2026, 5, 1, tzinfo=UTC)
ODD = (0.5, 0.25, "NaN", "Infinity", "-Infinity")
TENANTS = ("acme", "Acme", "acme ", "ácme")
NAMES = ("delay", "Delay", "delay ", "Ünïcode \U0001f600", "zebra", "_", "a%")
PEOPLE = ("alice", "bob")
COMMANDS = 400


async def told(folder: Path) -> SqliteEventStore:
    """A log of everything that a registry may be asked, in a random order that is always the same."""
    clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    store = await SqliteEventStore.open(folder / "events.db", clock)
    chance = random.Random(4)
    for n in range(COMMANDS):
        clock.advance(timedelta(minutes=chance.choice([0, 1])))
        decider, name, command = one_command(chance, n)
        tenant = chance.choice(TENANTS)
        ctx = Context(clock.now(), chance.choice(PEOPLE), tenant, f"request-{n}")
        entities: Entities[Any, Any, Any] = Entities(store, decider, EVENTS)
        try:
            await entities.handle(derived_id(tenant, name), command, ctx)
        except ModelogError:
            continue  # refused: what the order of commands does not allow
    return store


def one_command(chance: random.Random, n: int) -> tuple[Decider[Any, Any, Any], str, Any]:
    name, version = chance.choice(NAMES), SemanticVersion(1, chance.randrange(3), 0)
    digest = chance.choice("abcdef") * 64
    artifact = Artifact("f", digest, 1)
    run_id = f"{chance.choice(NAMES)}{n % 9}"
    measured = (Measured("auc", chance.random(), n), Measured("loss", float("nan"), n))
    asked: list[tuple[Decider[Any, Any, Any], str, Any]] = [
        (MODEL, name, RegisterModel(name, "of \x00 late \U0001f600", {"team": "ops"})),
        (MODEL, name, RegisterVersion(name, None, "xgboost", artifact, SIGNATURE, metrics={"auc": 0.7})),
        (MODEL, name, ReviewVersion(name, version, chance.choice(list(Decision)), "looked")),
        (MODEL, name, PromoteVersion(name, version, chance.choice(list(Stage)))),
        (MODEL, name, TagModel(name, {"Größe_%": chance.choice(["a_b", "aXb", "A%B"])}, ("team",))),
        (MODEL, name, TagVersion(name, version, {"k": chance.choice(["v", "V*", "[v]"])})),
        (MODEL, name, SetAlias(name, chance.choice(["champion", "Champion"]), version)),
        (MODEL, name, DeleteAlias(name, "champion")),
        (MODEL, name, chance.choice([DeleteVersion(name, version), DeleteModel(name)])),
        (EXPERIMENT, name, CreateExperiment(name, name, "x" * 70_000)),
        (RUN, run_id, StartRun(run_id, name, parameters={"depth": 6, "a\0b": "c\0d"}, experiment_id=name[:1])),
        (RUN, run_id, SealMetrics(run_id, n, n, 1, "d" * 64, (Point("f1", chance.choice(ODD), 1, AT),))),
        (RUN, run_id, LogInputs(run_id, (DatasetInput(name, digest, tags={"mlflow.data.context": "train"}),))),
        (RUN, run_id, TagRun(run_id, removed=("n",))),
        (RUN, run_id, LogRun(run_id, metrics=measured)),
        (RUN, run_id, LogRun(run_id, tags={"n": str(n), "name": name * 20})),
        (RUN, run_id, EndRun(run_id, RunStatus.COMPLETED)),
        (DATASET, name, RegisterDatasetVersion(name, digest, 10, n, ())),
    ]
    return chance.choice(asked)


CONDITIONS = [
    search_pb2.Condition(field=field, key=key, comparison=getattr(search_pb2, f"COMPARISON_{how}"), **value)
    for field, key, how, value in (
        (search_pb2.FIELD_ATTRIBUTE, "alias", "EQUAL", {"text": "champion"}),
        (search_pb2.FIELD_ATTRIBUTE, "alias", "IS_NULL", {}),
        (search_pb2.FIELD_ATTRIBUTE, "stage", "IN", {"texts": ["staging", "production"]}),
        (search_pb2.FIELD_ATTRIBUTE, "author", "NOT_EQUAL", {"text": "bob"}),
        (search_pb2.FIELD_ATTRIBUTE, "creation_time", "GREATER", {"number": 1777593600000 + 3_600_000}),
        (search_pb2.FIELD_TAG, "Größe_%", "LIKE", {"text": "a_b"}),
        (search_pb2.FIELD_TAG, "Größe_%", "ILIKE", {"text": "A%b"}),
        (search_pb2.FIELD_TAG, "k", "LIKE", {"text": "[%"}),
        (search_pb2.FIELD_TAG, "team", "IS_NOT_NULL", {}),
    )
]
NEWEST = search_pb2.Order(field=search_pb2.FIELD_ATTRIBUTE, key="last_update_time", descending=True)


async def model_answers(queries: ModelQueries, read: ReadOptions, tenant: str) -> list[Any]:
    found = [
        *await pages(lambda page: queries.models(model_pb2.ListModelsRequest(page=page, read=read), tenant)),
        *await pages(lambda page: queries.versions("", None, page, read, tenant)),
        *await pages(lambda page: queries.versions("", Stage.STAGING, page, read, tenant)),
    ]
    for condition in CONDITIONS:
        asked: dict[str, Any] = {"conditions": [condition], "order_by": [NEWEST], "read": read}
        found += await pages(
            lambda page, asked=asked: found_models(queries, model_pb2.SearchModelsRequest(page=page, **asked), tenant)
        )
        found += await pages(
            lambda page, asked=asked: queries.search_versions(
                model_pb2.SearchVersionsRequest(page=page, **asked), tenant
            )
        )
    for conditions in ([], CONDITIONS[2:3], CONDITIONS[8:9]):
        found.append(
            await queries.count_models(model_pb2.CountModelsRequest(conditions=conditions, values=2, read=read), tenant)
        )
    for name in NAMES:
        try:
            found += await pages(lambda page, name=name: queries.history(name, "", page, read, tenant))
            found.append(await queries.version_by_alias(name, "champion", read, tenant))
        except NotFound as missing:
            found.append(str(missing))
    return found


async def answers(
    queries: RegistryQueries, models: ModelQueries, tracking: TrackingQueries, read: ReadOptions, tenant: str
) -> list[bytes]:
    """The answers to all questions, as bytes; what there is not, as the text that says so."""
    found = [
        *await model_answers(models, read, tenant),
        *await pages(
            lambda page: tracking.experiments(experiment_pb2.ListExperimentsRequest(page=page, read=read), tenant)
        ),
        *await pages(lambda page: queries.datasets(page, read, tenant)),
        *await pages(lambda page: tracking.runs("", page, read, tenant)),
    ]
    # Another part of the searches for each moment: all of them take long.
    for search in searches()[int(read.as_of or 0) % 7 :: 7]:
        search.read.CopyFrom(read)
        found += [*(await tracking.search_runs(search, tenant)).runs, "page"]
    for name in NAMES:
        found += await pages(lambda page, name=name: tracking.runs(name, page, read, tenant))
        found += await pages(lambda page, name=name: queries.dataset_versions(name, page, read, tenant))
        for n in range(9):
            try:
                found.append(await tracking.run_with_points(f"{name}{n}", read, tenant))
            except NotFound as missing:
                found.append(str(missing))
    return [f.SerializeToString(deterministic=True) if isinstance(f, Message) else f.encode() for f in found]


def searches() -> list[SearchRunsRequest]:
    """Conditions of every kind, on values that a database may compare otherwise, and orders."""
    values: list[tuple[str, str, dict[str, Any]]] = [
        ("TAG", "name", {"text": f"{name[:2]}%", "texts": [name * 20, "zebra"]}) for name in NAMES
    ]
    values += [("PARAMETER", "depth", {"text": "6", "texts": ["6"]}), ("PARAMETER", "a\0b", {"text": "c%d"})]
    values += [("ATTRIBUTE", "run_name", {"text": "run-_%", "texts": ["x"]}), ("DATASET", "name", {"text": "D%"})]
    texts = [c for c in dict(Comparison.items()) if c != "COMPARISON_UNSPECIFIED"]
    conditions = [
        {"field": f"FIELD_{field}", "key": key, "comparison": comparison, "texts": ["c\0d"], **wanted}
        for field, key, wanted in values
        for comparison in texts
    ]
    conditions += [
        {"field": "FIELD_METRIC", "key": "f1", "comparison": comparison, "number": number}
        for comparison in texts[:6]
        for number in (0.5, float("nan"), float("inf"))
    ]
    found = [SearchRunsRequest(conditions=[c], view="VIEW_ALL") for c in conditions]
    for n, request in enumerate(found):
        key = [("METRIC", "f1"), ("TAG", "name"), ("ATTRIBUTE", "end_time"), ("PARAMETER", "depth")][n % 4]
        request.order_by.add(field=f"FIELD_{key[0]}", key=key[1], descending=bool(n & 4))
        if n & 8:
            request.experiment_ids.append("D")
    return found


async def found_models(
    queries: ModelQueries, request: model_pb2.SearchModelsRequest, tenant: str
) -> Found[model_pb2.Model]:
    found = await queries.search_models(request, tenant)
    return Found(list(found.models), found.next_page_token)


async def pages(ask: Any) -> list[Any]:
    """A whole list, in pages of three."""
    items: list[Any] = []
    token = ""
    while True:
        found = await ask(Page(size=3, token=token))
        items += [*found.items, "page"]
        token = found.next_page_token
        if not token:
            return items


async def projected(store: SqliteEventStore, engine: AsyncEngine, curves: CurveStore) -> tuple[Projector, Asked]:
    projector = Projector("registry.tables", store, engine, TABLES, projections(store))
    await projector.start()
    await projector.catch_up()
    queries = Queries(store, engine, projector)
    runs = Entities(store, RUN, EVENTS)
    acknowledged = Acknowledged()
    sealing = Sealing(curves, runs, acknowledged, ManualClock())
    tracking = TrackingQueries(queries, store, Metrics(curves, runs, sealing), sealing, acknowledged)
    return projector, (RegistryQueries(queries), ModelQueries(queries), tracking)


async def all_answers(queries: Asked, positions: Sequence[int]) -> list[list[bytes]]:
    reads = [ReadOptions(), *(ReadOptions(as_of=str(p)) for p in positions)]
    return [await answers(*queries, read, tenant) for read in reads for tenant in TENANTS[:2]]


class RegistryTablesSuite(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def open_tables(self) -> OpenTables: ...

    async def test_the_registry_answers_as_on_sqlite_byte_for_byte(
        self, tmp_path: Path, open_tables: OpenTables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = await told(tmp_path)
        head = await store.head()
        assert head > COMMANDS / 5
        asked = [1, head // 3, head // 2, head - 1]
        curves = SqliteCurveStore(tmp_path / "curves.db")
        reference = open_database(f"sqlite+aiosqlite:///{tmp_path / 'reference.db'}")
        _, on_sqlite = await projected(store, reference, curves)
        expected = await all_answers(on_sqlite, asked)
        assert len({b for answer in expected for b in answer}) > 20
        # Short epochs here and long ones there: neither shows.
        monkeypatch.setattr(tables, "EPOCH_ROWS", 3)
        engine = open_tables("registry")
        projector, queries = await projected(store, engine, curves)
        assert await all_answers(queries, asked) == expected
        await projector.rebuild()
        assert await all_answers(queries, asked) == expected
        await engine.dispose()
        await reference.dispose()
        await curves.close()
        await store.close()
