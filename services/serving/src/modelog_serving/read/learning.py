"""From deployments that learn, and their steps, to rows and to the messages that queries answer with."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from modelog_common.events.store import StoredEvent
from modelog_common.read.tables import Change, Put
from modelog_proto.serving.v1 import learning_pb2 as pb

from modelog_serving.events import EVENTS
from modelog_serving.learning.events import LearningStopped, ModelLearned
from modelog_serving.learning.state import OFF, ON, PAUSED, STOPPED, Learning, Taught
from modelog_serving.learning.terms import Terms, together
from modelog_serving.read.tables import LEARNING, STEPS, timestamp

MODES = {
    "": pb.LEARNING_MODE_UNSPECIFIED,
    ON: pb.LEARNING_MODE_ON,
    PAUSED: pb.LEARNING_MODE_PAUSED,
    OFF: pb.LEARNING_MODE_OFF,
    STOPPED: pb.LEARNING_MODE_STOPPED,
}


def learning_rows(learning: Learning, stored: StoredEvent) -> Sequence[Change]:
    """The row of what a deployment has learned and, after a step, that of the step."""
    message = learning_message(learning, stored.position)
    changes: list[Change] = [Put(LEARNING, {"deployment": learning.name}, message.SerializeToString(), {})]
    event = EVENTS.decode(stored.type, stored.schema, stored.payload)
    if isinstance(event, (ModelLearned, LearningStopped)):
        step = step_message(event, stored)
        values = {"deployment": learning.name, "version": event.version, "place": stored.version}
        key = {"step_id": f"{learning.deployment_id}/{stored.version}"}
        changes.append(Put(STEPS, key, step.SerializeToString(), values))
    return changes


def learning_message(learning: Learning, position: int) -> pb.Learning:
    """How a deployment learns, but for what only the running process knows."""
    return pb.Learning(
        deployment=learning.name,
        model=learning.model,
        mode=MODES[learning.mode],
        terms=pb.LearningTerms(**msgspec.structs.asdict(learning.terms)),
        reason=learning.reason,
        by=learning.by,
        steps=learning.steps,
        versions=[_version(taught) for taught in sorted(learning.taught, key=lambda taught: taught.version)],
        at=timestamp(learning.at),
        position=position,
    )


def _version(taught: Taught) -> pb.LearnedVersion:
    seen = together(taught.lately)
    return pb.LearnedVersion(
        version=taught.version,
        registered_digest=taught.registered_digest,
        digest=taught.digest,
        steps=taught.steps,
        labels=taught.labels,
        error=seen.error,
        registered_error=seen.registered_error,
        stopped=taught.stopped,
    )


def step_message(event: ModelLearned | LearningStopped, stored: StoredEvent) -> pb.LearningStep:
    """A step, or that a version stopped."""
    made = pb.LearningStep(
        deployment=event.name,
        version=event.version,
        step=event.step,
        event=stored.type.rpartition(".")[2],
        digest_before=event.digest_before,
        digest_after=event.digest_after,
        labels=event.seen.labels,
        error=event.seen.error,
        registered_error=event.seen.registered_error,
        at=timestamp(event.at),
        position=stored.position,
    )
    if isinstance(event, ModelLearned):
        made.registered_digest, made.labels_digest = event.registered_digest, event.labels.digest
    else:
        made.why = event.why
    return made


def terms_of(message: pb.LearningTerms) -> Terms:
    """As they are asked for; what is left out, or 0, is as usual."""
    return Terms(**{field.name: value for field, value in message.ListFields()})
