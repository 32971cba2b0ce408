"""The registry's composition root: which part is handed to which."""

from __future__ import annotations

import asyncio
from functools import cache, partial

import structlog
from modelog_common.adapters import (
    blobs_folder,
    curves_file,
    open_blobs,
    open_curves,
    open_read_tables,
    open_relay_progress,
    open_search,
)
from modelog_common.config import Settings
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.outbound.pace import Pace
from modelog_common.outbound.reach import Reach, networks_of
from modelog_common.read.queries import Queries
from modelog_common.service import Host
from modelog_common.stores.curves.moving import take_over
from modelog_common.stores.disk import remove_abandoned
from modelog_common.stores.uploads import Uploads
from modelog_proto.registry.v1.artifact_pb2_grpc import add_ArtifactStoreServicer_to_server
from modelog_proto.registry.v1.card_pb2_grpc import add_ModelCardsServicer_to_server
from modelog_proto.registry.v1.change_pb2_grpc import add_ChangeRequestsServicer_to_server
from modelog_proto.registry.v1.compare_pb2_grpc import add_ComparisonsServicer_to_server
from modelog_proto.registry.v1.dataset_pb2_grpc import add_DatasetRegistryServicer_to_server
from modelog_proto.registry.v1.experiment_pb2_grpc import add_ExperimentRegistryServicer_to_server
from modelog_proto.registry.v1.link_pb2_grpc import add_LinksServicer_to_server
from modelog_proto.registry.v1.logged_model_pb2_grpc import add_LoggedModelsServicer_to_server
from modelog_proto.registry.v1.model_pb2_grpc import add_ModelRegistryServicer_to_server
from modelog_proto.registry.v1.policy_pb2_grpc import add_PromotionPoliciesServicer_to_server
from modelog_proto.registry.v1.retire_pb2_grpc import add_RetirementsServicer_to_server
from modelog_proto.registry.v1.sign_pb2_grpc import add_ModelSignaturesServicer_to_server
from modelog_proto.registry.v1.sla_pb2_grpc import add_ModelSlasServicer_to_server
from modelog_proto.registry.v1.webhook_pb2_grpc import add_WebhooksServicer_to_server
from modelog_proto.registry.v1.workspace_pb2_grpc import add_WorkspacesServicer_to_server

from modelog_registry.api.artifacts import ArtifactServicer
from modelog_registry.api.cards import CardServicer
from modelog_registry.api.changes import ChangeServicer
from modelog_registry.api.compare import ComparisonServicer
from modelog_registry.api.datasets import DatasetServicer
from modelog_registry.api.experiments import ExperimentServicer
from modelog_registry.api.links import LinkServicer
from modelog_registry.api.logged_models import LoggedModelServicer
from modelog_registry.api.models import ModelServicer
from modelog_registry.api.policies import PolicyServicer
from modelog_registry.api.retirements import RetirementServicer, SlaServicer
from modelog_registry.api.signatures import SignatureServicer
from modelog_registry.api.webhooks import WebhookServicer
from modelog_registry.api.workspaces import WorkspaceServicer
from modelog_registry.compare.compare import Comparer
from modelog_registry.dataset.decide import DATASET
from modelog_registry.events import EVENTS
from modelog_registry.experiment.decide import EXPERIMENT
from modelog_registry.handle.acknowledged import Acknowledged
from modelog_registry.handle.artifacts import Artifacts, StoreOf
from modelog_registry.handle.changes import Changes
from modelog_registry.handle.datasets import Datasets
from modelog_registry.handle.evidence import Evidences
from modelog_registry.handle.experiments import Experiments
from modelog_registry.handle.links import Links
from modelog_registry.handle.logged_models import LoggedModels
from modelog_registry.handle.metrics import Metrics
from modelog_registry.handle.models import Models
from modelog_registry.handle.names import Named, Names
from modelog_registry.handle.references import References
from modelog_registry.handle.registered import Registered
from modelog_registry.handle.retiring import Retiring
from modelog_registry.handle.runs import Runs
from modelog_registry.handle.sealing import Sealing
from modelog_registry.handle.served import Deployments
from modelog_registry.handle.uploads import Uploading
from modelog_registry.handle.webhooks import Webhooks
from modelog_registry.handle.workspaces import WorkspaceHandler
from modelog_registry.link.decide import LINK
from modelog_registry.logged_model.decide import LOGGED_MODEL
from modelog_registry.model.commands import ModelCommand
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import ModelEvent
from modelog_registry.model.state import Model
from modelog_registry.name.decide import NAME
from modelog_registry.policy.decide import POLICY
from modelog_registry.react.duty import Duty
from modelog_registry.react.follow import Follower
from modelog_registry.react.ledger import Ledger
from modelog_registry.react.send import Sender
from modelog_registry.read.links import LinkQueries
from modelog_registry.read.models.card_queries import CardQueries
from modelog_registry.read.models.change_queries import ChangeQueries
from modelog_registry.read.models.model_queries import ModelQueries
from modelog_registry.read.models.policy_queries import PolicyQueries
from modelog_registry.read.models.registered import RegisteredQueries
from modelog_registry.read.models.retirements import RetirementQueries
from modelog_registry.read.models.signatures import SignatureQueries
from modelog_registry.read.places import held
from modelog_registry.read.project import projections
from modelog_registry.read.queries import RegistryQueries
from modelog_registry.read.runs.experiment_artifacts import ExperimentArtifactQueries
from modelog_registry.read.runs.logged_models import LoggedModelQueries
from modelog_registry.read.runs.tracking import TrackingQueries
from modelog_registry.read.tables import TABLES
from modelog_registry.read.webhooks import WebhookQueries
from modelog_registry.read.words.texts import Texts
from modelog_registry.read.workspaces import WorkspaceQueries
from modelog_registry.retirement.policy import RETIREMENT
from modelog_registry.run.commands import RunCommand
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import RunEvent
from modelog_registry.run.state import Run
from modelog_registry.sight.sight import Looked, Sight
from modelog_registry.webhook.decide import WEBHOOK
from modelog_registry.workspace.decide import WORKSPACES

PACKAGE = "modelog.registry.v1"
log = structlog.get_logger()
# Many small events, such as starts of runs, come close together.
GATHER_S = 0.05


async def build(host: Host) -> None:
    """Wire the registry into a host."""
    store = host.store
    experiment, run = Entities(store, EXPERIMENT, EVENTS), Entities(store, RUN, EVENTS, host.snapshots)
    model, space = Entities(store, MODEL, EVENTS, host.snapshots), Entities(store, WORKSPACES, EVENTS)
    logged_model, link = Entities(store, LOGGED_MODEL, EVENTS, host.snapshots), Entities(store, LINK, EVENTS)
    name = Entities(store, NAME, EVENTS)
    names = Names(name, "experiment")
    named_models = Named(model, Names(name, "model"), lambda state: state.name)
    sight = Sight(Looked(space, experiment, names, named_models, run, model, logged_model, link))
    host.guard(sight.check)
    tables = host.project(TABLES, projections(store), seen=sight.rows, rest_s=GATHER_S)
    queries = RegistryQueries(tables)
    artifacts = Artifacts(_stores_of(host.settings))
    curves = open_curves(host.settings, host.name)
    acknowledged = Acknowledged()
    moved = partial(take_over, curves_file(host.settings, host.name), curves) if host.settings.curves else None
    sealing = Sealing(curves, run, acknowledged, host.clock, moved)
    host.background("sealing", sealing.run, before=sealing.start)
    host.on_stop(curves.close)
    host.on_stop(sealing.close)
    metrics = Metrics(curves, run, sealing)
    dataset = Entities(store, DATASET, EVENTS, host.snapshots)
    references = References(run, dataset, artifacts)
    policy = Entities(store, POLICY, EVENTS)
    workspaces = WorkspaceHandler(space, partial(held, tables, store))
    serving = partial(host.peer, "serving") if "serving" in host.settings.peers else None
    models = Models(model, named_models, policy, references, workspaces, artifacts, Deployments(serving).of)
    named_experiments = Named(experiment, names, lambda state: state.name)
    experiments = Experiments(experiment, named_experiments, workspaces, references)
    datasets = Datasets(dataset)
    registered = Registered(store, RegisteredQueries(tables))
    runs = Runs(run, experiments, references, registered, sealing, acknowledged)
    texts = Texts(open_search(host.settings, host.name), store)
    host.rebuildable("search", texts)
    host.background("search", texts.run)
    host.on_close(texts.close)
    tracking = TrackingQueries(tables, store, metrics, sealing, acknowledged, texts.ids)
    host.serve(
        add_ModelRegistryServicer_to_server,
        ModelServicer(models, ModelQueries(tables), texts.ids, host.clock),
        f"{PACKAGE}.ModelRegistry",
    )
    host.serve(
        add_WorkspacesServicer_to_server,
        WorkspaceServicer(workspaces, WorkspaceQueries(space, store, sight), sight, host.clock),
        f"{PACKAGE}.Workspaces",
    )
    links = LinkServicer(Links(link, host.clock), LinkQueries(tables, tracking, ModelQueries(tables)), host.clock)
    host.serve(add_LinksServicer_to_server, links, f"{PACKAGE}.Links")
    host.serve(
        add_PromotionPoliciesServicer_to_server,
        PolicyServicer(models, PolicyQueries(tables), host.clock),
        f"{PACKAGE}.PromotionPolicies",
    )
    host.serve(
        add_ExperimentRegistryServicer_to_server,
        ExperimentServicer(experiments, runs, metrics, tracking, ExperimentArtifactQueries(tables), host.clock),
        f"{PACKAGE}.ExperimentRegistry",
    )
    host.serve(
        add_DatasetRegistryServicer_to_server,
        DatasetServicer(datasets, queries, host.clock),
        f"{PACKAGE}.DatasetRegistry",
    )
    comparer = Comparer(tracking.run, ModelQueries(tables).version)
    host.serve(add_ComparisonsServicer_to_server, ComparisonServicer(comparer), f"{PACKAGE}.Comparisons")
    cards = CardQueries(tables, ModelQueries(tables), queries, tracking.run_with_points)
    host.serve(add_ModelCardsServicer_to_server, CardServicer(models, cards, host.clock), f"{PACKAGE}.ModelCards")
    host.serve(
        add_ModelSignaturesServicer_to_server,
        SignatureServicer(models, SignatureQueries(tables), host.clock),
        f"{PACKAGE}.ModelSignatures",
    )
    retirements = RetirementQueries(tables)
    retiring = Retiring(
        Entities(store, RETIREMENT, EVENTS), models, retirements.tenants, retirements.models, host.clock
    )
    host.background("retirement", retiring.run)
    host.serve(
        add_RetirementsServicer_to_server,
        RetirementServicer(retiring, models, retirements, host.clock),
        f"{PACKAGE}.Retirements",
    )
    host.serve(add_ModelSlasServicer_to_server, SlaServicer(models, retirements, host.clock), f"{PACKAGE}.ModelSlas")
    changes = Changes(models, Evidences(store, artifacts, tracking.run, comparer, cards), store, host.clock)
    host.serve(
        add_ChangeRequestsServicer_to_server,
        ChangeServicer(changes, ChangeQueries(tables), host.clock),
        f"{PACKAGE}.ChangeRequests",
    )
    models_of_runs = LoggedModels(logged_model, experiments, references, registered)
    host.serve(
        add_LoggedModelsServicer_to_server,
        LoggedModelServicer(models_of_runs, LoggedModelQueries(tables), host.clock),
        f"{PACKAGE}.LoggedModels",
    )
    uploading = Uploading(Uploads(host.data_dir / "uploads"), artifacts, host.clock)
    host.background("uploads", uploading.run, before=lambda: _without_left_overs(host.settings))
    host.serve(
        add_ArtifactStoreServicer_to_server,
        ArtifactServicer(artifacts, uploading, host.clock),
        f"{PACKAGE}.ArtifactStore",
    )
    serve_webhooks(host, tables, model, run)


def serve_webhooks(
    host: Host,
    tables: Queries,
    model: Entities[Model, ModelCommand, ModelEvent],
    run: Entities[Run, RunCommand, RunEvent],
) -> None:
    """Webhooks: their contract, and what follows the log and sends."""
    store, clock, subjects = host.store, host.clock, host.subjects
    webhook = Entities(store, WEBHOOK, EVENTS)
    reach = Reach(networks_of(host.settings.webhook_networks))
    ledger = Ledger(open_read_tables(host.settings, host.name, "webhooks"))
    sender = Sender(webhook, ledger, subjects, reach, clock, Pace())
    follower = Follower(store, model, run, ledger, clock, sender.ring)

    async def follow_and_send() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(follower.follow())
            group.create_task(sender.send())

    duty = Duty(f"{host.name}.webhooks@{store.history}", open_relay_progress(host.settings), follow_and_send)
    host.background("webhooks", duty.run, before=follower.start)
    host.on_close(ledger.close)
    webhooks = Webhooks(webhook, ledger, sender, subjects, reach)
    queries = WebhookQueries(tables, subjects)
    servicer = WebhookServicer(webhooks, queries, ledger, clock)
    host.serve(add_WebhooksServicer_to_server, servicer, f"{PACKAGE}.Webhooks")


def _stores_of(settings: Settings) -> StoreOf:
    """A folder for each tenant: who knows the digest of another tenant's file still does not get it."""
    return cache(lambda tenant: open_blobs(settings, derived_id("tenant", tenant)))


async def _without_left_overs(settings: Settings) -> None:
    """Remove what earlier processes were storing when they were killed."""
    folder = blobs_folder(settings)
    removed = await asyncio.to_thread(remove_abandoned, folder) if folder is not None else 0
    if removed:
        log.info("files that were half stored are removed", files=removed)
