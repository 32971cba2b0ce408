"""The same file is tried once under the same conditions, and again when they change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from modelog_common.testing.scenario import NOW as NOW_AT
from modelog_common.testing.scenario import scenario
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.trial.commands import AskTrial, Conditions, RecordTrial
from modelog_serving.trial.decide import TRIALS, trial_id
from modelog_serving.trial.events import (
    FILE,
    KEPT,
    NOT_TRIED,
    REFUSED,
    WORKS,
    Found,
    TrialAsked,
    TrialLimits,
    VersionTried,
)

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LIMITS = TrialLimits(300, 30, 4 << 30)
NOW = Conditions({"python": "3.11", "xgboost-cpu": "3.2.0"}, LIMITS, approved=False)
NEWER = replace(NOW, packages={"python": "3.11", "xgboost-cpu": "3.3.0"})
PATIENT = replace(NOW, limits=TrialLimits(300, 60, 4 << 30))
APPROVED = replace(NOW, approved=True)
ABOUT = ("m", "flights", "1.0.0", "a" * 64, "xgboost")


def tried(found: Found, under: Conditions = NOW) -> VersionTried:
    return VersionTried(*ABOUT, under.approved, under.packages, under.limits, found, AT)


def record(found: Found, under: Conditions = NOW) -> RecordTrial:
    return RecordTrial(*ABOUT, under, found, AT)


WORKING, WANTING = Found(WORKS, engine="xgboost"), Found(NOT_TRIED, "needs approval: it is a pickle")


def test_a_trial_is_told() -> None:
    scenario(TRIALS, given=[], when=record(WORKING), then=[tried(WORKING)])


@pytest.mark.parametrize(
    ("before", "under"),
    [
        (WORKING, NOW),
        (WORKING, PATIENT),
        (WORKING, APPROVED),
        (Found(KEPT, unequal=True), NOW),
        (Found(REFUSED, "it answers texts"), PATIENT),
        (Found(REFUSED, "it took too long", "hung"), NOW),
        (WANTING, NOW),
    ],
)
def test_what_is_known_is_not_told_again(before: Found, under: Conditions) -> None:
    scenario(TRIALS, given=[tried(before)], when=record(WORKING, under), then=[])


@pytest.mark.parametrize(
    ("before", "under"),
    [
        (WORKING, NEWER),
        (Found(REFUSED, "it answers texts"), NEWER),
        (Found(REFUSED, "it took too long", "hung"), PATIENT),
        (WANTING, APPROVED),
        (Found(NOT_TRIED, "there is no such file", FILE), NOW),
    ],
)
def test_what_may_be_otherwise_now_is_told(before: Found, under: Conditions) -> None:
    scenario(TRIALS, given=[tried(before)], when=record(WORKING, under), then=[tried(WORKING, under)])


def test_a_file_that_is_still_not_there_is_not_told_of_again() -> None:
    gone = Found(NOT_TRIED, "there is no such file", FILE)
    scenario(TRIALS, given=[tried(gone)], when=record(gone), then=[])


@pytest.mark.parametrize("found", [WORKING, Found(REFUSED, "its process died", "died")])
def test_who_asks_has_it_tried_again_once_whatever_comes_of_it(found: Found) -> None:
    ask, asked = AskTrial(*ABOUT[1:], "no memory"), TrialAsked(*ABOUT[1:], "no memory", "bob", NOW_AT)
    after = scenario(TRIALS, given=[tried(found)], when=ask, by="bob", then=[asked])
    # What is known holds meanwhile, and does not keep it from being tried.
    assert (after.holds(NOW), after.settles(NOW)) == (True, False)
    scenario(TRIALS, given=[tried(found), asked], when=ask, by="eve", then=[])
    after = scenario(TRIALS, given=[tried(found), asked], when=record(found), then=[tried(found)])
    assert (after.settles(NOW), after.asked) == (True, None)


def test_what_waits_for_its_first_trial_waits_on() -> None:
    scenario(TRIALS, when=AskTrial(*ABOUT[1:], "soon"), then=[])


def test_another_signature_tenant_or_flavor_is_another_trial() -> None:
    signature = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1,)),))
    other = Signature(signature.inputs, (TensorSpec("y", "FP64", (-1,)),))
    ids = {
        trial_id("acme", "a", "xgboost", signature),
        trial_id("acme", "a", "xgboost", other),
        trial_id("other", "a", "xgboost", signature),
        trial_id("acme", "a", "lightgbm", signature),
        trial_id("acme", "b", "xgboost", signature),
    }
    assert len(ids) == 5
