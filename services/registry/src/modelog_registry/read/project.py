"""From an event to the rows that it changes."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.events.store import EventStore, StoredEvent
from modelog_common.read.project import EntityProjection, Projection
from modelog_common.read.tables import Change, Put

from modelog_registry.dataset.decide import DATASET
from modelog_registry.dataset.state import Dataset
from modelog_registry.events import EVENTS
from modelog_registry.experiment.decide import EXPERIMENT
from modelog_registry.experiment.events import ExperimentArtifactsAdded, ExperimentArtifactsRemoved
from modelog_registry.experiment.state import Experiment
from modelog_registry.link.decide import LINK
from modelog_registry.logged_model.decide import LOGGED_MODEL
from modelog_registry.model.decide import MODEL
from modelog_registry.name.decide import NAME
from modelog_registry.policy.decide import POLICY
from modelog_registry.policy.state import Policy
from modelog_registry.read import messages, tables
from modelog_registry.read.columns import microseconds
from modelog_registry.read.links import link_rows
from modelog_registry.read.models import policy_messages, retirements
from modelog_registry.read.models.model_rows import model_rows
from modelog_registry.read.models.model_tables import POLICIES, RETIREMENT_POLICIES
from modelog_registry.read.places import EXPERIMENT as EXPERIMENT_PLACE
from modelog_registry.read.places import placed
from modelog_registry.read.runs.experiment_artifacts import artifact_rows
from modelog_registry.read.runs.logged_models import logged_model_rows
from modelog_registry.read.runs.values import values_changed
from modelog_registry.read.webhooks import webhook_rows
from modelog_registry.retirement.policy import RETIREMENT, RetirementPolicy
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import RunLogged
from modelog_registry.run.state import Run
from modelog_registry.webhook.decide import WEBHOOK
from modelog_registry.workspace.decide import WORKSPACES


def projections(store: EventStore) -> Sequence[Projection]:
    """All projections of the registry."""
    return (
        EntityProjection(store, MODEL, EVENTS, model_rows),
        EntityProjection(store, POLICY, EVENTS, policy_rows),
        EntityProjection(store, RETIREMENT, EVENTS, retirement_policy_rows),
        EntityProjection(store, NAME, EVENTS, no_rows),
        EntityProjection(store, EXPERIMENT, EVENTS, experiment_rows),
        EntityProjection(store, RUN, EVENTS, run_rows),
        EntityProjection(store, LOGGED_MODEL, EVENTS, logged_model_rows),
        EntityProjection(store, DATASET, EVENTS, dataset_rows),
        EntityProjection(store, WEBHOOK, EVENTS, webhook_rows),
        EntityProjection(store, WORKSPACES, EVENTS, no_rows),
        EntityProjection(store, LINK, EVENTS, link_rows),
    )


def policy_rows(policy: Policy, stored: StoredEvent) -> Sequence[Change]:
    """The row of the version that was set."""
    last = policy.last
    if last is None:
        raise ValueError(f"{stored.stream} has {stored.type} before a policy was set")
    body = policy_messages.policy_message(last, stored.position).SerializeToString()
    key = {"workspace": last.workspace, "version": str(last.version)}
    return [Put(POLICIES, key, body, {"number": last.version})]


def retirement_policy_rows(policy: RetirementPolicy, stored: StoredEvent) -> Sequence[Change]:
    """The row of the version that was set."""
    last = policy.last
    if last is None:
        raise ValueError(f"{stored.stream} has {stored.type} before a policy was set")
    body = retirements.retirement_policy_message(last, stored.position).SerializeToString()
    return [Put(RETIREMENT_POLICIES, {"version": str(last.version)}, body, {"number": last.version})]


def no_rows(_state: object, _stored: StoredEvent) -> Sequence[Change]:
    """For what is looked up in the log. It is here because what is projected is published: consumers wait for it."""
    return ()


def experiment_rows(experiment: Experiment, stored: StoredEvent) -> Sequence[Change]:
    if experiment.created is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the experiment was created")
    event = EVENTS.decode(stored.type, stored.schema, stored.payload)
    if isinstance(event, ExperimentArtifactsAdded | ExperimentArtifactsRemoved):
        return artifact_rows(event)
    body = messages.experiment_message(experiment, experiment.created, stored.position).SerializeToString()
    values = {"name": experiment.name, "hidden": int(experiment.deleted_at is not None)}
    experiment_id = experiment.created.experiment_id
    row = Put(tables.EXPERIMENTS, {"experiment_id": experiment_id}, body, values)
    moved = stored.type in ("registry.ExperimentCreated", "registry.ExperimentMoved")
    return [row, placed(EXPERIMENT_PLACE, experiment_id, experiment.place)] if moved else [row]


def run_rows(run: Run, stored: StoredEvent) -> Sequence[Change]:
    """The run's row, what it is searched by, and the points that the event told."""
    if run.started is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the run was started")
    run_id = run.started.run_id
    body = messages.run_message(run, run.started, stored.position).SerializeToString()
    ended = run.ended
    values = {
        "experiment_id": run.started.experiment_id,
        "name": run.name,
        "status": run.status.name,
        "author": run.started.author,
        "hidden": int(run.deleted_at is not None),
        "started_us": microseconds(run.started.started_at or run.started.at),
        "ended_us": None if ended is None else microseconds(ended.ended_at or ended.at),
        "parent_run_id": run.started.parent_run_id or None,
    }
    event = EVENTS.decode(stored.type, stored.schema, stored.payload)
    changes: list[Change] = [Put(tables.RUNS, {"run_id": run_id}, body, values), *values_changed(run, event)]
    match event:
        case RunLogged(metrics=points) if points:
            told = messages.points_message(points).SerializeToString()
            key = {"run_id": run_id, "told": str(stored.version)}
            changes.append(Put(tables.RUN_POINTS, key, told, {"ordinal": stored.version}))
    return changes


def dataset_rows(dataset: Dataset, stored: StoredEvent) -> Sequence[Change]:
    """The dataset's row, and that of its newest version."""
    newest = dataset.versions[-1]
    version = messages.dataset_version_message(newest, stored.position).SerializeToString()
    body = messages.dataset_message(dataset.versions, stored.position).SerializeToString()
    key = {"dataset": newest.dataset, "version": str(newest.version)}
    return [
        Put(tables.DATASETS, {"name": newest.dataset}, body, {}),
        Put(tables.DATASET_VERSIONS, key, version, {"number": newest.version}),
    ]
