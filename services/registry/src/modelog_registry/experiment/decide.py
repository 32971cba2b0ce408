"""The rule of experiments: a name is given once, and asking again is not an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.ids import derived_id

from modelog_registry.experiment.commands import CreateExperiment, ExperimentCommand
from modelog_registry.experiment.events import ExperimentCreated, ExperimentEvent
from modelog_registry.experiment.state import Experiment, evolve
from modelog_registry.names import check_name


def decide(experiment: Experiment, command: ExperimentCommand, ctx: Context) -> Sequence[ExperimentEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case CreateExperiment(name, description):
            check_name(name, "name")
            if experiment.created is not None:
                return ()
            return [ExperimentCreated(derived_id(ctx.tenant, name), name, description, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


EXPERIMENT: Decider[Experiment, ExperimentCommand, ExperimentEvent] = Decider(
    "registry.experiment", Experiment, decide, evolve
)
