"""Whether today's code can decode and fold every event of a log: the check `decodes` of `modelog bisect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from modelog_common.domain.decider import Decider
from modelog_common.events.store import EventStore, StoredEvent, category_of
from modelog_common.events.types import EventTypes
from modelog_gateway.events import EVENTS as GATEWAY
from modelog_gateway.subject.decide import SUBJECTS
from modelog_gateway.user.decide import USERS
from modelog_monitoring.abtest.decide import AB_TEST
from modelog_monitoring.events import EVENTS as MONITORING
from modelog_monitoring.level.decide import LEVEL
from modelog_monitoring.monitor.decide import MONITOR
from modelog_monitoring.policy.decide import POLICY
from modelog_monitoring.retraining.decide import RETRAINING
from modelog_registry.dataset.decide import DATASET
from modelog_registry.events import EVENTS as REGISTRY
from modelog_registry.experiment.decide import EXPERIMENT
from modelog_registry.link.decide import LINK
from modelog_registry.logged_model.decide import LOGGED_MODEL
from modelog_registry.model.decide import MODEL
from modelog_registry.name.decide import NAME
from modelog_registry.policy.decide import POLICY as PROMOTION_POLICY
from modelog_registry.retirement.policy import RETIREMENT
from modelog_registry.run.decide import RUN
from modelog_registry.webhook.decide import WEBHOOK
from modelog_registry.workspace.decide import WORKSPACES
from modelog_serving.deployment.decide import DEPLOYMENTS
from modelog_serving.events import EVENTS as SERVING
from modelog_serving.failure.decide import FAILURES
from modelog_serving.learning.decide import LEARNINGS
from modelog_serving.release.decide import RELEASES
from modelog_serving.segment.decide import SEGMENTS
from modelog_serving.traffic.decide import TRAFFIC
from modelog_serving.trial.decide import TRIALS
from modelog_training.job.decide import JOB
from modelog_training.job.events import EVENTS as TRAINING

# Every kind of entity by the category of its streams, and the types of its events.
ENTITIES: Mapping[str, tuple[Decider[Any, Any, Any], EventTypes]] = {
    decider.category: (decider, types)
    for types, deciders in (
        (GATEWAY, (SUBJECTS, USERS)),
        (MONITORING, (AB_TEST, LEVEL, MONITOR, POLICY, RETRAINING)),
        (
            REGISTRY,
            (
                DATASET,
                EXPERIMENT,
                LINK,
                LOGGED_MODEL,
                MODEL,
                NAME,
                PROMOTION_POLICY,
                RETIREMENT,
                RUN,
                WEBHOOK,
                WORKSPACES,
            ),
        ),
        (SERVING, (DEPLOYMENTS, FAILURES, LEARNINGS, RELEASES, SEGMENTS, TRAFFIC, TRIALS)),
        (TRAINING, (JOB,)),
    )
    for decider in deciders
}


class Failure(NamedTuple):
    """The first event that cannot be decoded or folded, and why."""

    position: int
    reason: str


async def first_failure(store: EventStore, until: int | None = None) -> Failure | None:
    """Fold every stream of the log side by side; None when all of it can be folded."""
    states: dict[str, Any] = {}
    async for event in store.read_all(until=await store.head() if until is None else until):
        try:
            _fold(event, states)
        except Exception as error:
            # Whatever an event does to the code that folds it is what is looked for here.
            what = f"{event.type} (version {event.schema}) in {event.stream}"
            return Failure(event.position, f"{what}: {type(error).__name__}: {error}")
    return None


def _fold(event: StoredEvent, states: dict[str, Any]) -> None:
    decider, types = ENTITIES[category_of(event.stream)]
    state = states[event.stream] if event.stream in states else decider.initial()
    states[event.stream] = decider.evolve(state, types.decode(event.type, event.schema, event.payload))
