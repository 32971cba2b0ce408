"""The rule of experiments, by given, when, then."""

from __future__ import annotations

import pytest
from modelog_common.domain.ids import derived_id
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.experiment.commands import CreateExperiment
from modelog_registry.experiment.decide import EXPERIMENT
from modelog_registry.experiment.events import ExperimentCreated


@pytest.mark.parametrize("name", ["delays", "задержки", "航班延误", "a/b c"])
def test_an_experiment_gets_its_name(name: str) -> None:
    scenario(
        EXPERIMENT,
        when=CreateExperiment(name, "why flights are late"),
        then=[ExperimentCreated(derived_id("acme", name), name, "why flights are late", "alice", NOW)],
    )


def test_asking_again_is_no_error() -> None:
    created = ExperimentCreated("id", "delays", "", "alice", NOW)
    scenario(EXPERIMENT, given=[created], when=CreateExperiment("delays", "other words"), by="bob", then=[])


def test_two_tenants_may_use_one_name() -> None:
    scenario(
        EXPERIMENT,
        when=CreateExperiment("delays"),
        by=context(tenant="other"),
        then=[ExperimentCreated(derived_id("other", "delays"), "delays", "", "alice", NOW)],
    )


@pytest.mark.parametrize(
    ("name", "refused"),
    [(" delays", "white space"), ("delays\n", "white space"), ("de\x00lays", "control character '\\x00'")],
)
def test_a_name_that_looks_like_another_is_refused(name: str, refused: str) -> None:
    scenario(EXPERIMENT, when=CreateExperiment(name), refused=refused, field="name")
