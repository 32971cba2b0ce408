"""Releases on the running platform that are decided by what became of predictions, whose labels come late."""

from __future__ import annotations

from pathlib import Path

import modelog
import numpy as np
import xgboost as xgb
from modelog.release import Release
from modelog.stream import StreamProducer
from running_platform import RunningPlatform, until
from toy_model import FEATURES, SIGNATURE, deployed, fitted, toy_rows

NAME = "promises"
HOUR_US = 3_600_000_000
FIRST_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
ROWS = 400
OUTCOME = {"metric": "error", "effect": 0.1, "baseline": 0.2, "lateness_s": 60.0}


def upside_down(folder: Path) -> Path:
    """A model that learned the opposite of every label."""
    rows = toy_rows()
    matrix = xgb.DMatrix(rows.select(FEATURES).to_numpy(), 1 - rows["label"].to_numpy(), feature_names=list(FEATURES))
    file = folder / "upside-down.ubj"
    xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, matrix, 10).save_model(file)
    return file


class Traffic:
    """Hours of requests with their labels, one after the other."""

    def __init__(self, client: modelog.Client, deployment: str) -> None:
        self._stream, self._hour = StreamProducer(client, deployment), 0

    def hour(self) -> None:
        rows = toy_rows(seed=self._hour + 1, rows=ROWS)
        start_us = FIRST_US + self._hour * HOUR_US
        times = start_us + np.arange(ROWS) * (HOUR_US // ROWS)
        ids = [f"{NAME}-{self._hour}-{row}" for row in range(ROWS)]
        end_us = start_us + HOUR_US
        matrix = rows.select(FEATURES).to_numpy()
        self._stream.send_requests(ids, times, matrix, FEATURES, watermark_us=end_us)
        self._stream.send_outcomes(ids, rows["label"].to_numpy(), times + 1_000_000, watermark_us=end_us + 60_000_000)
        self._stream.flush()
        self._hour += 1


def test_outcomes_roll_a_worse_version_back_and_let_one_as_good_through(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    with platform.person("release-alice", "developer") as alice, platform.person("release-bob", "reviewer") as bob:
        deployed(alice, bob, NAME, tmp_path)
        worse = alice.models.register(
            NAME, alice.artifacts.upload(upside_down(tmp_path)), flavor="xgboost", signature=SIGNATURE
        )
        same = alice.models.register(
            NAME, alice.artifacts.upload(fitted(tmp_path)), flavor="xgboost", signature=SIGNATURE
        )
        alice.deployments.create("kept", NAME, "1.0.0", "dev")
        traffic = Traffic(alice, "kept")

        def followed(version: str, **criterion: str) -> Release:
            begun = alice.releases.start("kept", version, steps=[50, 100], outcome={**OUTCOME, **criterion})
            test = until("the step's test runs", lambda: running(alice, f"kept.release-{begun.number}.step-1"))
            assert (test.a, test.b, test.alpha) == ("1.0.0", version, 0.05)
            for _ in range(20):
                seen = looks(alice, test.name)
                traffic.hour()
                ended = until_counted(alice, test.name, seen)
                if ended or alice.releases.get("kept").state != "RELEASE_STATE_RUNNING":
                    break
            return until("it ended", lambda: (r := alice.releases.get("kept")).state != "RELEASE_STATE_RUNNING" and r)

        found = followed(worse.version)
        assert found.state == "RELEASE_STATE_ROLLED_BACK"
        assert found.reason.startswith("worse outcomes: error 0.")
        assert found.evidence is not None
        assert found.evidence.outcome is not None
        assert found.evidence.outcome.mean_candidate > 0.6 > 0.4 > found.evidence.outcome.mean_incumbent
        until("the traffic is back", lambda: split(alice) == {"1.0.0": 100.0})

        found = followed(same.version, criterion="non_inferior")
        assert found.state == "RELEASE_STATE_PROMOTED", found.reason
        assert "difference" in found.reason
        until("the traffic has moved", lambda: split(alice) == {same.version: 100.0})
        assert alice.ab_tests.get("kept.release-2.step-1").state in ("AB_STATE_DECIDED", "AB_STATE_STOPPED")


def running(client: modelog.Client, name: str) -> modelog.ab_test.AbTest | None:
    """The A/B test, once it runs."""
    try:
        test = client.ab_tests.get(name)
    except modelog.NotFound:
        return None
    return test if test.state == "AB_STATE_RUNNING" else None


def looks(client: modelog.Client, name: str) -> int:
    """How often the test's outcomes were counted."""
    test = client.ab_tests.get(name)
    return 0 if test.latest is None else test.latest.number


def until_counted(client: modelog.Client, name: str, seen: int) -> bool:
    """Wait until what was sent after so many looks is counted, or the test has ended; whether it has ended."""

    def is_counted() -> bool:
        now = client.ab_tests.get(name)
        return now.state != "AB_STATE_RUNNING" or (now.latest is not None and now.latest.number > seen)

    until("the outcomes are counted", is_counted)
    return client.ab_tests.get(name).state != "AB_STATE_RUNNING"


def split(client: modelog.Client) -> dict[str, float]:
    return {v.version: v.percent for v in client.deployments.get("kept").variants}
