"""The rule of failures: each is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider

from modelog_serving.failure.commands import FailureCommand, RecordClosed, RecordFailure, RecordOpened
from modelog_serving.failure.events import BreakerClosed, BreakerOpened, FailureEvent, ModelFailed
from modelog_serving.failure.state import Failures, evolve


def decide(_failures: Failures, command: FailureCommand, _ctx: Context) -> Sequence[FailureEvent]:
    """The same one twice has the same request id, and is told once."""
    match command:
        case RecordFailure():
            return [ModelFailed(**_told(command))]
        case RecordOpened():
            return [BreakerOpened(**_told(command))]
        case RecordClosed():
            return [BreakerClosed(**_told(command))]
        case _:
            assert_never(command)


def _told(command: FailureCommand) -> dict[str, Any]:
    """An event tells what its command does; the deployment's name is `name` there."""
    fields = asdict(command)
    name = fields.pop("deployment")
    return fields | {"name": name}


FAILURES: Decider[Failures, FailureCommand, FailureEvent] = Decider("serving.failure", Failures, decide, evolve)
