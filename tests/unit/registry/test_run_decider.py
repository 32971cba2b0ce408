"""The rules of runs, by given, when, then."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.events import EVENTS
from modelog_registry.run.commands import EndRun, LogRun, Measured, StartRun
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import (
    Environment,
    Point,
    RunDataset,
    RunEnded,
    RunLogged,
    RunStarted,
    RunStatus,
    stored_number,
)

ID = "0123456789abcdef"
ENVIRONMENT = Environment("3.11.9", "Linux", {"numpy": "2.4"}, "c0ffee", True, "train:main", "d" * 64)
STARTED = RunStarted(ID, "acme", "delays", "first", "alice", {"depth": 6}, (), None, {}, NOW, "e-1")
EARLIER = NOW - timedelta(days=1)
ENDED = RunEnded(ID, RunStatus.COMPLETED, "", NOW)


def logged(**changes: Any) -> RunLogged:
    fields: dict[str, Any] = {
        "parameters": {},
        "metrics": (),
        "artifacts": (),
        "tags": {},
        "environment": None,
        "at": NOW,
    }
    return RunLogged(ID, **{**fields, **changes})


def test_a_run_starts_with_what_is_known() -> None:
    datasets = (RunDataset("flights", 1, "a" * 64),)
    scenario(
        RUN,
        when=StartRun(ID, "delays", "first", {"depth": 6}, datasets, ENVIRONMENT, {"k": "v"}, "e-1", "p", EARLIER),
        then=[
            RunStarted(
                ID,
                "acme",
                "delays",
                "first",
                "alice",
                {"depth": 6},
                datasets,
                ENVIRONMENT,
                {"k": "v"},
                NOW,
                "e-1",
                "p",
                EARLIER,
            )
        ],
    )


def test_a_run_without_a_name_takes_one_from_its_id() -> None:
    after = scenario(
        RUN,
        when=StartRun(ID, "delays", experiment_id="e-1"),
        then=[RunStarted(ID, "acme", "delays", "run-01234567", "alice", {}, (), None, {}, NOW, "e-1")],
    )
    assert after.status is RunStatus.RUNNING


def test_a_run_starts_once() -> None:
    scenario(RUN, given=[STARTED], when=StartRun(ID, "delays"), refused="exists already", error=AlreadyExists)


def test_names_of_any_script_are_kept() -> None:
    for name in ("задержка рейсов", "航班延误", "طيران", "λ/μ 🛫"):
        after = scenario(
            RUN,
            given=[STARTED],
            when=LogRun(ID, metrics=(Measured(name, 1.5),)),
            then=[logged(metrics=(Point(name, 1.5, 0, NOW),))],
        )
        assert after.metrics[name].value == 1.5


@pytest.mark.parametrize(
    ("value", "stored"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (0.5, 0.5)]
)
def test_values_that_are_no_numbers_survive_the_store(value: float, stored: float | str) -> None:
    event = logged(metrics=(Point("loss", stored, 3, NOW),))
    scenario(RUN, given=[STARTED], when=LogRun(ID, metrics=(Measured("loss", value, 3),)), then=[event])
    read = EVENTS.decode(*EVENTS.encode(event))
    back = float(read.metrics[0].value)
    assert back == value or (math.isnan(back) and math.isnan(value))


@given(st.floats())
def test_every_double_survives_the_store(value: float) -> None:
    event = logged(metrics=(Point("loss", stored_number(value), 0, NOW),))
    back = float(EVENTS.decode(*EVENTS.encode(event)).metrics[0].value)
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_a_point_keeps_its_own_time() -> None:
    at = NOW - timedelta(hours=1)
    scenario(
        RUN,
        given=[STARTED],
        when=LogRun(ID, metrics=(Measured("loss", 0.5, 1, at), Measured("loss", 0.4, 2))),
        then=[logged(metrics=(Point("loss", 0.5, 1, at), Point("loss", 0.4, 2, NOW)))],
    )


def test_the_last_value_is_that_of_the_highest_step() -> None:
    after = scenario(
        RUN,
        given=[STARTED, logged(metrics=(Point("loss", 0.1, 9, NOW), Point("loss", 0.2, 9, NOW)))],
        when=LogRun(ID, metrics=(Measured("loss", 0.9, 1),)),
        then=[logged(metrics=(Point("loss", 0.9, 1, NOW),))],
    )
    assert after.metrics["loss"].value == 0.2


def test_what_is_told_adds_up() -> None:
    first, second = Artifact("a.bin", "a" * 64, 1), Artifact("a.bin", "b" * 64, 2)
    after = scenario(
        RUN,
        given=[STARTED, logged(artifacts=(first,), tags={"a": "1", "b": "1"}, environment=ENVIRONMENT)],
        when=LogRun(ID, {"depth": 6, "eta": 0.1}, artifacts=(second,), tags={"a": "2"}),
        then=[logged(parameters={"depth": 6, "eta": 0.1}, artifacts=(second,), tags={"a": "2"})],
    )
    assert after.parameters == {"depth": 6, "eta": 0.1}
    assert after.artifacts == {"a.bin": second}
    assert after.tags == {"a": "2", "b": "1"}
    assert after.environment == ENVIRONMENT


def test_a_parameter_keeps_its_first_value() -> None:
    scenario(
        RUN,
        given=[STARTED],
        when=LogRun(ID, {"depth": 7}),
        refused="is 6 already and cannot become 7; start a new run",
        error=Invalid,
        field="parameters.depth",
    )


def test_telling_nothing_adds_nothing() -> None:
    scenario(RUN, given=[STARTED], when=LogRun(ID), then=[])


def test_an_ended_run_takes_nothing_more() -> None:
    scenario(
        RUN,
        given=[STARTED, ENDED],
        when=LogRun(ID, metrics=(Measured("loss", 0.1),)),
        refused=f"run {ID} ended as completed and takes nothing more; start a new one",
        error=NotAllowed,
    )


def test_a_path_cannot_lead_out_of_the_run() -> None:
    bad = Artifact("plots/../../x", "a" * 64, 1)
    scenario(
        RUN,
        given=[STARTED],
        when=LogRun(ID, artifacts=(Artifact("ok", "a" * 64, 1), bad)),
        refused="holds '.' or '..'",
        field="artifacts[1].path",
    )


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_ends_once_and_ending_it_twice_is_no_error(status: RunStatus) -> None:
    end = RunEnded(ID, status, "because", NOW)
    after = scenario(RUN, given=[STARTED], when=EndRun(ID, status, "because"), then=[end])
    assert after.status is status
    scenario(RUN, given=[STARTED, end], when=EndRun(ID, status), then=[])


def test_a_run_cannot_end_in_two_ways() -> None:
    scenario(
        RUN,
        given=[STARTED, ENDED],
        when=EndRun(ID, RunStatus.FAILED),
        refused=f"run {ID} ended as completed; it cannot end as failed too",
        error=NotAllowed,
    )


def test_running_is_no_end() -> None:
    scenario(RUN, given=[STARTED], when=EndRun(ID, RunStatus.RUNNING), refused="is no end", field="status")


@pytest.mark.parametrize("command", [LogRun(ID), EndRun(ID, RunStatus.FAILED)])
def test_another_tenants_run_is_not_there(command: LogRun | EndRun) -> None:
    mallory = context("mallory", tenant="other")
    scenario(RUN, given=[STARTED], when=command, by=mallory, refused=f"there is no run '{ID}'", error=NotFound)
    scenario(RUN, when=command, refused=f"there is no run '{ID}'", error=NotFound)


def test_a_name_must_be_printable() -> None:
    scenario(RUN, when=StartRun(ID, "delays", "a\x1bb"), refused="control character '\\x1b'", field="name")
