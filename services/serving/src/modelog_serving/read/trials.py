"""From trials to rows and to the message that a query answers with."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.events.store import StoredEvent
from modelog_common.read.tables import Change, Put
from modelog_proto.serving.v1 import trial_pb2 as pb

from modelog_serving.read.tables import TRIALS, timestamp
from modelog_serving.trial.events import KEPT, NOT_TRIED, REFUSED, WORKS
from modelog_serving.trial.state import Trial

STATES = {
    WORKS: pb.TRIAL_STATE_WORKS,
    KEPT: pb.TRIAL_STATE_KEPT_ORIGINAL,
    REFUSED: pb.TRIAL_STATE_REFUSED,
    NOT_TRIED: pb.TRIAL_STATE_NOT_TRIED,
}


def trial_rows(trial: Trial, stored: StoredEvent) -> Sequence[Change]:
    """The row of a file's last trial."""
    if trial.last is None:
        return ()
    body = trial_message(trial, stored.position).SerializeToString()
    return [Put(TRIALS, {"trial_id": stored.stream.partition("-")[2]}, body, {"digest": trial.last.model_digest})]


def trial_message(trial: Trial, position: int) -> pb.VersionTrial:
    """A trial as it is answered, for the version of which it was made; nothing of one that was never made."""
    tried, asked = trial.last, trial.asked
    if tried is None:
        return pb.VersionTrial()
    found = tried.found
    message = pb.VersionTrial(
        model=tried.model,
        version=tried.version,
        state=STATES[found.state],
        reason=found.reason,
        cause=found.cause,
        model_digest=tried.model_digest,
        tried_version=tried.version,
        engine=found.engine,
        why=found.why,
        sample=found.sample,
        rows=found.rows,
        largest_difference=found.largest_difference,
        tolerance=found.tolerance,
        unequal=found.unequal,
        row_us=found.row_us,
        row_of_32_us=found.row_of_32_us,
        memory_bytes=found.memory_bytes,
        missing=found.missing,
        approved=tried.approved,
        packages=tried.packages,
        tried_at=timestamp(tried.at),
        position=position,
    )
    if asked is not None:
        message.asked_by, message.asked_why, message.asked_model = asked.by, asked.reason, asked.model
        message.asked_at.CopyFrom(timestamp(asked.at))
    return message
