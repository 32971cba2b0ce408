"""How models come about, in the graph: datasets, experiments, runs, jobs, versions, approvals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never, get_args

from modelog_lineage.graph import translate_changes
from modelog_lineage.graph.changes import Change, Connect, Describe, GoOn, Thing
from modelog_lineage.graph.events import (
    AliasDeleted,
    AliasSet,
    AttemptLost,
    BatchFinished,
    BatchStarted,
    ChangeApplied,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeWithdrawn,
    DataChecked,
    DatasetRef,
    DatasetVersionRegistered,
    Environment,
    Event,
    ExperimentCreated,
    JobCancelled,
    JobCancelRequested,
    JobFailed,
    JobStarted,
    JobSubmitted,
    JobSucceeded,
    ModelDeleted,
    ModelRegistered,
    ModelRenamed,
    ModelTagged,
    ModelUpdated,
    RegistryEvent,
    RunEnded,
    RunLinked,
    RunLogged,
    RunStarted,
    TrainingEvent,
    VersionDeleted,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
    VersionTagged,
    VersionUpdated,
)
from modelog_lineage.graph.texts import prefixed, texts
from modelog_lineage.graph.things import by, model_version
from modelog_lineage.graph.vocabulary import Kind, Link, version_key

REGISTRY: tuple[type[Event], ...] = get_args(RegistryEvent)
TRAINING: tuple[type[Event], ...] = get_args(TrainingEvent)
APPROVED = "approved"


def registry(event: RegistryEvent) -> Iterator[Change]:
    """What an event of the registry changes."""
    match event:
        case ModelRegistered():
            model = Thing(Kind.MODEL, event.name)
            # A name that was deleted may be taken up again.
            attributes = texts(description=event.description, author=event.author, status="registered")
            yield Describe(model, attributes | prefixed("tag", event.tags))
            yield from by(model, Link.CREATED_BY, event.author)
        case VersionRegistered():
            yield from _version_registered(event)
        case VersionReviewed():
            yield from _version_reviewed(event)
        case VersionPromoted():
            version = model_version(event.model, event.version)
            yield Describe(version, texts(stage=event.to_stage) | {"reason": event.reason})
            yield from by(version, Link.PROMOTED_BY, event.by)
        case ModelRenamed():
            yield from _renamed(event)
        case ModelUpdated() | ModelTagged() | ModelDeleted():
            yield Describe(Thing(Kind.MODEL, event.model), _kept_up(event))
        case VersionUpdated() | VersionTagged() | VersionDeleted():
            yield Describe(model_version(event.model, event.version), _kept_up(event))
        case AliasSet():
            # Of a version that had it before, too: an alias is of one version only.
            if event.from_version:
                yield Describe(model_version(event.model, event.from_version), {f"alias.{event.alias}": ""})
            yield Describe(model_version(event.model, event.version), {f"alias.{event.alias}": "yes"})
        case AliasDeleted():
            yield Describe(model_version(event.model, event.version), {f"alias.{event.alias}": ""})
        case ChangeRequested() | ChangeEvidenceAttached() | ChangeReviewed() | ChangeWithdrawn() | ChangeApplied():
            yield from translate_changes.change_request(event)
        case ExperimentCreated():
            experiment = Thing(Kind.EXPERIMENT, event.name)
            yield Describe(experiment, texts(description=event.description, author=event.author))
            yield from by(experiment, Link.CREATED_BY, event.author)
        case RunStarted():
            yield from _run_started(event)
        case RunLogged():
            attributes = _of_run(event)
            if attributes:
                yield Describe(Thing(Kind.RUN, event.run_id), attributes)
        case RunEnded():
            yield Describe(Thing(Kind.RUN, event.run_id), texts(status=event.status, error=event.error))
        case DatasetVersionRegistered():
            yield from _dataset_version_registered(event)
        case _:
            assert_never(event)


def training(event: TrainingEvent) -> Iterator[Change]:
    """What an event of the training service changes."""
    match event:
        case JobSubmitted():
            yield from _job_submitted(event)
        case JobStarted():
            yield _job(event.job_id, status="running", attempt=event.attempt)
        case RunLinked():
            yield Connect(Thing(Kind.RUN, event.run_id), Link.EXECUTED_BY, Thing(Kind.JOB, event.job_id))
        case DataChecked():
            yield _job(event.job_id, data_checks="passed" if event.passed else "failed")
        case AttemptLost():
            yield _job(event.job_id, status="waiting", lost=event.reason)
        case BatchStarted():
            yield from _batch_started(event)
        case BatchFinished():
            attributes = texts(status="finished", output_digest=event.output_digest, errors=event.errors)
            yield Describe(Thing(Kind.BATCH, event.job_id), attributes)
        case JobSucceeded():
            yield _job(event.job_id, status="succeeded", model=event.model, registered_version=event.registered_version)
        case JobFailed():
            yield _job(event.job_id, status="failed", error=event.error)
        case JobCancelRequested():
            yield _job(event.job_id, status="cancelling", cancelled_by=event.by)
        case JobCancelled():
            yield _job(event.job_id, status="cancelled", cancelled_by=event.by)
        case _:
            assert_never(event)


def dataset_version(ref: DatasetRef) -> Thing:
    """The node of a dataset version."""
    return Thing(Kind.DATASET_VERSION, version_key(ref.dataset, ref.version))


def trained_on(thing: Thing, datasets: Sequence[DatasetRef]) -> Iterator[Change]:
    """The links to the data."""
    for ref in datasets:
        yield Connect(thing, Link.TRAINED_ON, dataset_version(ref))


def _version_registered(event: VersionRegistered) -> Iterator[Change]:
    version = model_version(event.model, event.version)
    attributes = texts(
        model=event.model, version=event.version, stage="development", author=event.author,
        description=event.description, flavor=event.flavor,
        digest=event.artifact.digest if event.artifact is not None else "",
        size_bytes=event.artifact.size_bytes or None if event.artifact is not None else None,
    )  # fmt: skip
    attributes |= prefixed("metric", event.metrics) | prefixed("tag", event.tags)
    yield Describe(version, attributes, f"{event.model} {event.version}")
    yield Connect(version, Link.VERSION_OF, Thing(Kind.MODEL, event.model))
    if event.run_id:
        yield Connect(version, Link.PRODUCED_BY, Thing(Kind.RUN, event.run_id))
    yield from trained_on(version, event.datasets)
    yield from by(version, Link.CREATED_BY, event.author)


def _renamed(event: ModelRenamed) -> Iterator[Change]:
    """The model, its versions and its change requests go on under the new name."""
    old, new = event.old_name, event.name
    left = texts(status="renamed", reason=f"to {new}")
    yield GoOn(Thing(Kind.MODEL, old), Thing(Kind.MODEL, new), left=left)
    for version in event.versions:
        after = model_version(new, version)
        yield GoOn(model_version(old, version), after, texts(model=new), left, f"{new} {version}")
        yield Connect(after, Link.VERSION_OF, Thing(Kind.MODEL, new))
    for number in range(1, event.changes + 1):
        before, after = (Thing(Kind.CHANGE_REQUEST, version_key(name, number)) for name in (old, new))
        yield GoOn(before, after, texts(model=new), left)


def _kept_up(
    event: ModelUpdated | ModelTagged | ModelDeleted | VersionUpdated | VersionTagged | VersionDeleted,
) -> dict[str, str]:
    """What changed, as attributes; one that is gone is empty, for attributes are never taken away."""
    match event:
        case ModelUpdated():
            return {"description": event.description} | texts(type=event.type)
        case VersionUpdated():
            return {"description": event.description}
        case ModelTagged() | VersionTagged():
            return prefixed("tag", event.tags) | prefixed("tag", dict.fromkeys(event.removed, ""))
        case ModelDeleted() | VersionDeleted():
            return texts(status="deleted", deleted_by=event.by) | {"reason": event.reason}
        case _:
            assert_never(event)


def _version_reviewed(event: VersionReviewed) -> Iterator[Change]:
    version = model_version(event.model, event.version)
    if event.decision != APPROVED or not event.approval_id:
        yield from by(version, Link.REJECTED_BY, event.reviewer)
        return
    approval = Thing(Kind.APPROVAL, event.approval_id)
    attributes = texts(
        decision=event.decision, model=event.model, version=event.version, reviewer=event.reviewer,
        comment=event.comment, evidence=event.evidence,
    )  # fmt: skip
    yield Describe(approval, attributes, f"{event.decision} by {event.reviewer}")
    yield Connect(version, Link.APPROVED_BY, approval)
    yield from by(approval, Link.GIVEN_BY, event.reviewer)


def _run_started(event: RunStarted) -> Iterator[Change]:
    run = Thing(Kind.RUN, event.run_id)
    attributes = texts(experiment=event.experiment, author=event.author, status="running")
    yield Describe(run, attributes | _of_run(event), event.name)
    if event.experiment:
        yield Connect(run, Link.PART_OF, Thing(Kind.EXPERIMENT, event.experiment))
    yield from trained_on(run, event.datasets)
    yield from by(run, Link.CREATED_BY, event.author)


def _of_run(event: RunStarted | RunLogged) -> dict[str, str]:
    return prefixed("parameter", event.parameters) | prefixed("tag", event.tags) | _environment(event.environment)


def _environment(environment: Environment | None) -> dict[str, str]:
    if environment is None:
        return {}
    return texts(
        python=environment.python, git_commit=environment.git_commit, git_dirty=environment.git_dirty,
        entry_point=environment.entry_point, source_digest=environment.source_digest,
    )  # fmt: skip


def _dataset_version_registered(event: DatasetVersionRegistered) -> Iterator[Change]:
    version = Thing(Kind.DATASET_VERSION, version_key(event.dataset, event.version))
    attributes = texts(
        dataset=event.dataset, version=event.version, label=event.label, digest=event.digest,
        size_bytes=event.size_bytes, rows=event.rows, columns=len(event.columns), description=event.description,
        author=event.author,
    )  # fmt: skip
    yield Describe(version, attributes, f"{event.dataset} {event.version}")
    yield Connect(version, Link.VERSION_OF, Thing(Kind.DATASET, event.dataset))
    yield from by(version, Link.CREATED_BY, event.author)


def _job_submitted(event: JobSubmitted) -> Iterator[Change]:
    job = Thing(Kind.JOB, event.job_id)
    attributes = texts(
        experiment=event.experiment, entry_point=event.entry_point, source_digest=event.source_digest,
        git_commit=event.git_commit, git_dirty=event.git_dirty, author=event.author, status="waiting",
    )  # fmt: skip
    yield Describe(job, attributes, event.name)
    yield from trained_on(job, event.datasets)
    yield from by(job, Link.CREATED_BY, event.author)


def _batch_started(event: BatchStarted) -> Iterator[Change]:
    """The output of a batch, which comes from a model version and, where it was one, from a dataset version."""
    batch = Thing(Kind.BATCH, event.job_id)
    attributes = texts(
        source=event.source, query=event.query, source_digest=event.source_digest, model_digest=event.model_digest,
        rows=event.rows, output=event.output, status="running",
    )  # fmt: skip
    yield Describe(batch, attributes, event.output)
    yield Connect(batch, Link.EXECUTED_BY, Thing(Kind.JOB, event.job_id))
    yield Connect(batch, Link.PREDICTED_BY, model_version(event.model, event.version))
    if event.dataset is not None:
        yield Connect(batch, Link.READ, dataset_version(event.dataset))


def _job(job_id: str, **attributes: object) -> Describe:
    return Describe(Thing(Kind.JOB, job_id), texts(**attributes))
