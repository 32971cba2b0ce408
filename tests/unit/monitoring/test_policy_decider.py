"""Retraining policies: what makes one, which windows call for a challenger, and what it is trained on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from modelog_common.domain.errors import AlreadyExists, Invalid
from modelog_common.domain.ids import derived_id
from modelog_common.testing.scenario import NOW, scenario
from modelog_monitoring.monitor.events import WindowEvaluated
from modelog_monitoring.monitor.window import Window, WindowUnit, window_at
from modelog_monitoring.policy.commands import CreatePolicy
from modelog_monitoring.policy.decide import POLICY, calls_for_challenger
from modelog_monitoring.policy.events import CanaryTest, PolicyCreated
from modelog_monitoring.policy.versions import versions_up_to
from msgspec.structs import replace as replace_event

JOB = {"name": "fit", "experiment": "delays", "entry_point": "flights.train:main"}
CREATE = CreatePolicy("retrain", "flights", on_drift=False, on_quality=True, job=JOB, dataset="flights")
CREATED = PolicyCreated(
    derived_id("acme", "retrain"),
    "retrain",
    "flights",
    False,
    True,
    JOB,
    "flights",
    10_000,
    10.0,
    2_500,
    "alice",
    NOW,
    CanaryTest(0.05, 0.005),
)
WINDOW = WindowEvaluated(
    "m", "flights", "w", "2013-04", NOW, NOW, 1, 1, {}, (), 0, None, {}, "", 0.7, False, False, "", NOW
)


def month(number: int) -> Window:
    return window_at(WindowUnit.MONTH, datetime(2013, number, 15, tzinfo=UTC))


def test_a_policy_is_created_once() -> None:
    scenario(POLICY, when=CREATE, then=[CREATED])
    scenario(POLICY, given=[CREATED], when=CREATE, by="bob", then=[])
    scenario(
        POLICY,
        given=[CREATED],
        when=replace(CREATE, canary_rows=7),
        refused="retraining policy 'retrain' exists already with another definition; alice created it",
        error=AlreadyExists,
    )


def test_a_policy_of_before_canaries_had_a_level_is_the_same_with_the_usual_one() -> None:
    old = replace_event(CREATED, canary=None)
    scenario(POLICY, given=[old], when=CREATE, then=[])
    strict = replace(CREATE, canary=CanaryTest(0.05, 0.0))
    scenario(POLICY, given=[old], when=strict, refused="exists already with another definition", error=AlreadyExists)


def test_a_level_of_one_is_refused() -> None:
    always = replace(CREATE, canary=CanaryTest(1.0))
    scenario(POLICY, when=always, refused="less is needed", error=Invalid, field="canary_alpha")


def test_a_policy_needs_a_condition() -> None:
    scenario(
        POLICY, when=replace(CREATE, on_quality=False), refused="at least one of them", error=Invalid, field="on_drift"
    )


def test_the_datasets_of_the_job_are_the_policys_to_fill_in() -> None:
    job = {**JOB, "datasets": [{"dataset": "other", "version": 1}]}
    scenario(POLICY, when=replace(CREATE, job=job), refused="must be empty", error=Invalid, field="job.datasets")


@pytest.mark.parametrize(
    ("on_drift", "on_quality", "drift", "quality", "called"),
    [
        (True, False, True, False, True),
        (True, False, False, True, False),
        (False, True, False, True, True),
        (False, True, True, False, False),
        (True, True, True, True, True),
        (True, True, True, False, False),
        (True, True, False, True, False),
    ],
)
def test_all_conditions_that_are_set_must_hold(
    on_drift: bool, on_quality: bool, drift: bool, quality: bool, called: bool
) -> None:
    created = PolicyCreated("p", "retrain", "flights", on_drift, on_quality, JOB, "flights", 1, 1.0, 1, "alice", NOW)
    window = WindowEvaluated(
        "m", "flights", "w", "2013-04", NOW, NOW, 1, 1, {}, (), 0, None, {}, "", 0.7, drift, quality, "", NOW
    )
    assert calls_for_challenger(created, window) is called


def test_windows_of_other_monitors_call_for_nothing() -> None:
    other = PolicyCreated("p", "retrain", "hotels", True, False, JOB, "flights", 1, 1.0, 1, "alice", NOW)
    assert not calls_for_challenger(other, WINDOW)


def test_a_challenger_learns_from_the_windows_so_far() -> None:
    labels = [(1, "2013-01"), (2, "2013-02"), (4, "2013-05"), (3, "2013-04"), (5, "2012-12")]
    assert versions_up_to(month(4), labels) == [1, 2, 3, 5]


def test_labels_that_name_no_windows_cut_nothing() -> None:
    assert versions_up_to(month(4), [(2, "second"), (1, "2013-01"), (3, "2013-09")]) == [1, 2, 3]
    assert versions_up_to(month(4), []) == []
