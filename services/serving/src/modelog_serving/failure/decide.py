"""The rule of failures: each is told."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider

from modelog_serving.failure.commands import FailureCommand
from modelog_serving.failure.events import FailureEvent, ModelFailed
from modelog_serving.failure.state import Failures, evolve


def decide(_failures: Failures, command: FailureCommand, _ctx: Context) -> Sequence[FailureEvent]:
    """The same failure twice has the same request id, and is told once."""
    return [
        ModelFailed(
            command.deployment_id,
            command.deployment,
            command.model,
            command.version,
            command.model_digest,
            command.cause,
            command.text,
            command.at,
        )
    ]


FAILURES: Decider[Failures, FailureCommand, FailureEvent] = Decider("serving.failure", Failures, decide, evolve)
