"""A challenger's canary through the SDK and the command line: each look, as of any moment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import modelog
import pytest
from modelog.errors import NotFound
from modelog_monitoring.retraining.events import CanaryDecided, CanaryVerdict, RetrainingRefused
from small_platform import SmallPlatform
from written_canary import AT, begun, looked, write

ID, REASON = "r-1", "neither better nor less than 0.005 worse is proved on 150 rows"
PATIENCE_S = 150


@pytest.fixture(scope="module")
def refused(platform: SmallPlatform) -> SmallPlatform:
    """A retraining whose canary was looked at three times and refused."""
    end = [
        looked(ID, 1), looked(ID, 2), looked(ID, 3, CanaryVerdict.NOT_PROVED), CanaryDecided(ID, False, REASON, AT),
        RetrainingRefused(ID, REASON, AT),
    ]  # fmt: skip
    write(platform.folder, ID, [*begun(ID, "late", "flights"), *end])
    with platform.client() as client:
        deadline = time.monotonic() + PATIENCE_S
        while not client.monitors.retrainings():
            assert time.monotonic() < deadline, f"monitoring did not read the retraining in {PATIENCE_S} s"
            time.sleep(0.02)
    return platform


def test_the_looks_of_a_canary_as_of_any_moment(refused: SmallPlatform, alice: modelog.Client) -> None:
    found, looks = alice.monitors.retraining(ID), alice.monitors.canary_looks(ID)
    assert (found.challenger, found.state, found.reason) == ("1.1.0", "RETRAINING_STATE_REFUSED", REASON)
    assert found.canary is None
    plan = found.canary_plan
    assert plan is not None
    assert (plan.percent, plan.rows, plan.alpha, plan.margin) == (10.0, 500, 0.05, 0.005)
    assert [(look.number, look.rows, look.verdict) for look in looks] == [
        (1, 50, "CANARY_VERDICT_UNDECIDED"),
        (2, 100, "CANARY_VERDICT_UNDECIDED"),
        (3, 150, "CANARY_VERDICT_NOT_PROVED"),
    ]
    assert (looks[1].low, looks[1].high, looks[1].gain) == pytest.approx((-0.042, 0.058, 0.008))
    then = str(looks[1].position)
    assert alice.monitors.canary_looks(ID, as_of=then) == looks[:2]
    before = alice.monitors.retraining(ID, as_of=then)
    assert before.state == "RETRAINING_STATE_CANARY"
    assert before.latest_look is not None
    assert before.latest_look.number == 2
    with pytest.raises(NotFound, match="there is no retraining 'nobody'"):
        alice.monitors.canary_looks("nobody")


def test_the_command_shows_the_bounds_closing_in(refused: SmallPlatform, run_as: Callable[..., Any]) -> None:
    told = run_as("alice", "monitor", "retraining", ID).output
    for text in (
        "late 1.0.0", REASON, "AUC gained on fresh rows", "+0.0500 (+0.0410 to +0.0590)", "not proved",
        "10 % of the traffic, 500 rows at most, margin 0.005, level 0.05", "-0.0920 to +0.1080", "-0.0253 to +0.0413",
    ):  # fmt: skip
        assert text in told, told
    assert ID in run_as("alice", "monitor", "retrainings").output
    whole = json.loads(run_as("alice", "monitor", "retraining", ID, "--json").output)
    assert [look["rows"] for look in whole["looks"]] == [50, 100, 150]
    first = str(whole["looks"][0]["position"])
    assert "-0.0420" not in run_as("alice", "monitor", "retraining", ID, "--as-of", first).output
    refusal = run_as("alice", "monitor", "retraining", "nobody", status=1)
    assert "there is no retraining 'nobody'" in refusal.output
