"""The rule of windows: one with requests is told."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider

from modelog_serving.traffic.commands import TrafficCommand
from modelog_serving.traffic.events import TrafficEvent, TrafficMeasured
from modelog_serving.traffic.state import Traffic, evolve


def decide(_traffic: Traffic, command: TrafficCommand, ctx: Context) -> Sequence[TrafficEvent]:
    """The same window twice has the same request id, and is told once."""
    if not command.versions:
        return ()
    return [
        TrafficMeasured(
            command.deployment_id,
            command.deployment,
            command.model,
            command.start,
            command.end,
            command.versions,
            ctx.now,
        )
    ]


TRAFFIC: Decider[Traffic, TrafficCommand, TrafficEvent] = Decider("serving.traffic", Traffic, decide, evolve)
