"""What models do, in the graph: deployments, monitors, windows, alerts, retraining; and who the users are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never, get_args

from modelog_lineage.graph.changes import Change, Connect, Describe, Disconnect, Thing
from modelog_lineage.graph.events import (
    AlertRaised,
    CanaryDecided,
    CanaryEvaluated,
    CanaryStarted,
    ChallengerEvaluated,
    ChallengerPromoted,
    ChallengerTrained,
    DeploymentCreated,
    DeploymentStopped,
    Event,
    GatewayEvent,
    MonitorCreated,
    MonitoringEvent,
    RetrainingFailed,
    RetrainingRefused,
    RetrainingStarted,
    ServingEvent,
    Share,
    TrafficSet,
    UserCreated,
    WindowEvaluated,
)
from modelog_lineage.graph.texts import texts
from modelog_lineage.graph.things import by, model_version
from modelog_lineage.graph.translate_models import dataset_version
from modelog_lineage.graph.vocabulary import Kind, Link

SERVING: tuple[type[Event], ...] = get_args(ServingEvent)
MONITORING: tuple[type[Event], ...] = get_args(MonitoringEvent)
GATEWAY: tuple[type[Event], ...] = (GatewayEvent,)


def serving(event: ServingEvent) -> Iterator[Change]:
    """What an event of the serving service changes."""
    deployment = Thing(Kind.DEPLOYMENT, event.name)
    match event:
        case DeploymentCreated():
            attributes = texts(model=event.model, environment=event.environment, author=event.author, status="serving")
            yield Describe(deployment, attributes)
            yield from _traffic(deployment, event.model, [Share(version=event.version, percent=100)])
            yield from by(deployment, Link.CREATED_BY, event.author)
        case TrafficSet():
            yield Describe(deployment, texts(changed_by=event.by) | {"reason": event.reason})
            yield from _traffic(deployment, event.model, event.shares)
        case DeploymentStopped():
            yield Describe(deployment, texts(status="stopped", changed_by=event.by) | {"reason": event.reason})
            yield Disconnect(deployment, Link.SERVES)
        case _:
            assert_never(event)


def monitoring(event: MonitoringEvent) -> Iterator[Change]:
    """What an event of the monitoring service changes."""
    match event:
        case MonitorCreated():
            monitor = Thing(Kind.MONITOR, event.name)
            yield Describe(monitor, texts(deployment=event.deployment, author=event.author))
            yield Connect(monitor, Link.WATCHES, Thing(Kind.DEPLOYMENT, event.deployment))
            for ref in event.reference:
                yield Connect(monitor, Link.COMPARES_WITH, dataset_version(ref))
            yield from by(monitor, Link.CREATED_BY, event.author)
        case WindowEvaluated():
            window = Thing(Kind.WINDOW, event.window_id)
            attributes = texts(
                monitor=event.monitor, start=event.start, end=event.end, predictions=event.predictions,
                labelled=event.labelled, drifted_features=event.drifted_features, drift_alert=event.drift_alert,
                quality_alert=event.quality_alert,
            )  # fmt: skip
            yield Describe(window, attributes, f"{event.monitor} {event.label}".strip())
            yield Connect(window, Link.SEEN_BY, Thing(Kind.MONITOR, event.monitor))
        case AlertRaised():
            alert = Thing(Kind.ALERT, event.alert_id)
            yield Describe(alert, texts(monitor=event.monitor, about=event.kind, text=event.text))
            raised_by = Thing(Kind.WINDOW, event.window_id) if event.window_id else Thing(Kind.MONITOR, event.monitor)
            yield Connect(alert, Link.RAISED_BY, raised_by)
        case RetrainingStarted():
            yield from _retraining_started(event)
        case ChallengerTrained():
            yield _retraining(event.retraining_id, state="evaluating", challenger=event.challenger)
        case ChallengerEvaluated():
            yield _retraining(event.retraining_id, challenger_wins=event.challenger_wins, reason=event.reason)
        case CanaryStarted():
            yield _retraining(event.retraining_id, state="canary", canary_percent=event.percent)
        case CanaryDecided() | CanaryEvaluated():
            yield _retraining(event.retraining_id, canary_wins=event.challenger_wins, reason=event.reason)
        case ChallengerPromoted():
            yield _retraining(event.retraining_id, state="promoted")
            version = model_version(event.model, event.challenger)
            yield Connect(version, Link.PROMOTED_BY, Thing(Kind.RETRAINING, event.retraining_id))
        case RetrainingRefused():
            yield _retraining(event.retraining_id, state="refused", reason=event.reason)
        case RetrainingFailed():
            yield _retraining(event.retraining_id, state="failed", reason=event.reason)
        case _:
            assert_never(event)


def gateway(event: GatewayEvent) -> Iterator[Change]:
    """What an event of the gateway changes."""
    match event:
        case UserCreated():
            yield Describe(Thing(Kind.USER, event.name), texts(roles=", ".join(sorted(event.roles))))
        case _:
            assert_never(event)


def _traffic(deployment: Thing, model: str, shares: Sequence[Share]) -> Iterator[Change]:
    """Links to the versions that answer, in place of those that answered before."""
    answering = [share for share in shares if share.percent > 0]
    told = ", ".join(f"{share.version} {share.percent:g} %" for share in answering)
    yield Describe(deployment, texts(traffic=told))
    yield Disconnect(deployment, Link.SERVES)
    for share in answering:
        yield Connect(deployment, Link.SERVES, model_version(model, share.version))


def _retraining_started(event: RetrainingStarted) -> Iterator[Change]:
    retraining = Thing(Kind.RETRAINING, event.retraining_id)
    attributes = texts(
        policy=event.policy, monitor=event.monitor, model=event.model, champion=event.champion, state="training"
    )
    yield Describe(retraining, attributes)
    yield Connect(retraining, Link.TRIGGERED_BY, Thing(Kind.WINDOW, event.window_id))
    yield Connect(retraining, Link.REPLACES, model_version(event.model, event.champion))
    yield Connect(Thing(Kind.JOB, event.job_id), Link.STARTED_BY, retraining)


def _retraining(retraining_id: str, **attributes: object) -> Describe:
    return Describe(Thing(Kind.RETRAINING, retraining_id), texts(**attributes))
