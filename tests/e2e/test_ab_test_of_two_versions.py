"""An A/B test on the running platform: real answers of two versions, real outcomes, and the decision."""

from __future__ import annotations

from pathlib import Path

import modelog
import numpy as np
import pytest
import xgboost as xgb
from modelog.stream import StreamProducer
from running_platform import RunningPlatform, until
from toy_model import FEATURES, SIGNATURE, deployed, toy_rows

NAME = "halves"
HOUR_US = 3_600_000_000
FIRST_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
ROWS, BATCHES = 400, 4


def upside_down(folder: Path) -> Path:
    """A model that learned the opposite of every label."""
    rows = toy_rows()
    matrix = xgb.DMatrix(rows.select(FEATURES).to_numpy(), 1 - rows["label"].to_numpy(), feature_names=list(FEATURES))
    file = folder / "upside-down.ubj"
    xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, matrix, 10).save_model(file)
    return file


def test_the_better_of_two_served_versions_is_found(platform: RunningPlatform, tmp_path: Path) -> None:
    with platform.person("ab-alice", "developer") as alice, platform.person("ab-bob", "reviewer") as bob:
        deployed(alice, bob, NAME, tmp_path)
        wrong = alice.artifacts.upload(upside_down(tmp_path))
        newer = alice.models.register(NAME, wrong, flavor="xgboost", signature=SIGNATURE).version
        alice.deployments.create("two", NAME, "1.0.0", "dev")
        alice.ab_tests.create("newer", "two", "1.0.0", newer, min_effect=0.1, baseline=0.2, allowed_lateness_s=60)
        with pytest.raises(modelog.NotAllowed, match=r"modelog deploy traffic two 1\.0\.0=50 1\.1\.0=50"):
            alice.ab_tests.start("newer")
        alice.ab_tests.create("off", "two", "1.0.0", newer, metric="absolute_error", min_effect=0.3, sd=0.3)
        alice.deployments.set_traffic("two", {"1.0.0": 50, newer: 50})
        for name in ("newer", "off"):
            alice.ab_tests.start(name)
        stream = StreamProducer(alice, "two")
        for n in range(BATCHES):
            rows = toy_rows(seed=n + 1, rows=ROWS)
            times = FIRST_US + n * HOUR_US + np.arange(ROWS) * (HOUR_US // ROWS)
            ids = [f"two-{n}-{row}" for row in range(ROWS)]
            end_us = FIRST_US + (n + 1) * HOUR_US
            stream.send_requests(ids, times, rows.select(FEATURES).to_numpy(), FEATURES, watermark_us=end_us)
            labels = rows["label"].to_numpy()
            stream.send_outcomes(
                ids, labels, times + 1_000_000, watermark_us=end_us + 60_000_000, amounts=labels.astype(float)
            )
        stream.flush()
        found = until("it is decided", lambda: (t := alice.ab_tests.get("newer")).state == "AB_STATE_DECIDED" and t)
        assert found.verdict == "AB_VERDICT_A_BETTER"
        assert found.latest is not None
        assert found.latest.mean_b > 0.6 > 0.4 > found.latest.mean_a
        assert 0.4 < found.latest.events_b / (found.latest.events_a + found.latest.events_b) < 0.6
        assert found.reason.startswith("1.0.0 is better than 1.1.0: error rate")
        looks = alice.ab_tests.looks("newer")
        assert looks[-1].p_value <= 0.05
        assert [look.number for look in looks] == list(range(1, len(looks) + 1))
        off = until("amounts decide, too", lambda: (t := alice.ab_tests.get("off")).state == "AB_STATE_DECIDED" and t)
        assert (off.verdict, off.method) == ("AB_VERDICT_A_BETTER", "AB_METHOD_CONFIDENCE_SEQUENCE")
        assert off.reason.startswith("1.0.0 is better than 1.1.0: absolute error")
        before = alice.ab_tests.get("newer", as_of=str(looks[0].position - 1))
        assert (before.state, before.latest) == ("AB_STATE_RUNNING", None)
