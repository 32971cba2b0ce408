"""Logged requests, sent through a version again: the incumbent answers the same bits, a candidate is compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from modelog.replay import Replayed, ReplayReport
from modelog.types.serving import ReplayPage
from modelog_common.domain.errors import Invalid, NotFound
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, Caller, Rig, answers_of, model_file, signature
from test_oip_grpc import ROWS, request


async def replayed(alice: Caller, candidate: str = "", **asked: Any) -> tuple[ReplayReport, int]:
    """All pages as the SDK gathers them, and how many there were."""
    gathered, after, pages = Replayed("flights", candidate, asked.get("slice", "")), 0, 0
    while True:
        page: pb.ReplayPredictionsResponse = await alice.deployments.ReplayPredictions(
            pb.ReplayPredictionsRequest(deployment="flights", candidate=candidate, after=after, **asked)
        )
        gathered.add(
            ReplayPage(
                prediction_ids=list(page.prediction_ids), versions=list(page.versions), logged=list(page.logged),
                replayed=list(page.replayed), slice_values=list(page.slice_values),
            )
        )  # fmt: skip
        pages += 1
        if not page.next_after:
            return gathered.report(), pages
        assert page.next_after <= page.last
        after = page.next_after


async def answered(alice: Caller, *asked: Any) -> pb.Prediction:
    """What the log has of a request, which is read before the next one: then that is in a batch of its own."""
    answer = await alice.inference.ModelInfer(request(*asked))
    (told,) = (value for name, value in answer.parameters.items() if name.startswith("prediction_id"))
    prediction_id = told.string_param.split(",")[0]
    wanted = pb.GetPredictionRequest(deployment="flights", prediction_id=prediction_id)
    return await alice.deployments.GetPrediction(wanted)


async def some_traffic(alice: Caller) -> np.ndarray[Any, Any]:
    """Answers by two versions, with missing values; returns the rows."""
    await alice.deploy()
    draw = np.random.default_rng(5)
    rows = draw.normal(size=(60, len(COLUMNS))).astype(np.float32)
    rows[::7, 1] = np.nan
    await alice.split(v1_0_0=50, v1_1_0=50)
    for start in range(0, 60, 3):
        await answered(alice, rows[start : start + 3], {"key": {"string_param": f"k{start}"}})
    return rows


async def test_the_incumbents_answer_the_same_bits_and_a_candidate_is_compared(alice: Caller) -> None:
    rows = await some_traffic(alice)
    same, pages = await replayed(alice, limit=10)
    assert pages > 3
    assert same.identical
    assert set(same.versions) == {"1.0.0", "1.1.0"}
    assert (same.whole.count, same.whole.mean_absolute, same.whole.changed) == (60, 0.0, 0.0)
    other, _ = await replayed(alice, "1.1.0", slice=COLUMNS[1])
    assert not other.identical
    by_first = other.versions["1.0.0"] / 60
    assert 0 < other.whole.changed <= by_first
    assert sum(each.count for each in other.slices) == 60
    assert other.slices[-1].slice == f"{COLUMNS[1]} missing"
    assert other.slices[-1].count == len(rows[::7])
    assert len(other.slices) == 11
    expected = np.abs(answers_of(model_file(0), rows) - answers_of(model_file(1), rows))
    assert other.whole.largest <= expected.max() + 1e-6


async def test_a_version_that_was_never_deployed_can_be_tried(alice: Caller) -> None:
    await some_traffic(alice)
    tried = await alice.version(model_file(2))
    found, _ = await replayed(alice, tried)
    assert found.whole.changed == 1.0


async def test_only_what_was_answered_between_two_times(alice: Caller) -> None:
    await alice.deploy()
    found = [await answered(alice, ROWS[:1]) for _ in range(5)]
    ids = [each.prediction_id for each in found]
    times = [each.answered_at.ToDatetime(UTC) for each in found]

    async def between(since: datetime, until: datetime) -> list[str]:
        page = await alice.deployments.ReplayPredictions(
            pb.ReplayPredictionsRequest(
                deployment="flights", since=since.isoformat(timespec="microseconds"),
                until=until.isoformat(timespec="microseconds"),
            )
        )  # fmt: skip
        return list(page.prediction_ids)

    assert await between(times[1], times[3]) == ids[1:3]
    assert await between(times[0] - timedelta(hours=1), times[4] + timedelta(hours=1)) == ids
    assert await between(times[4] + timedelta(seconds=1), times[4] + timedelta(hours=1)) == []


async def test_what_cannot_be_replayed_is_said(alice: Caller, rig: Rig) -> None:
    def ask(**asked: Any) -> Any:
        return alice.deployments.ReplayPredictions(pb.ReplayPredictionsRequest(**asked))

    with pytest.raises(NotFound, match="none"):
        await ask(deployment="none")
    await alice.deploy()
    with pytest.raises(NotFound, match=r"9\.0\.0"):
        await ask(deployment="flights", candidate="9.0.0")
    await alice.inference.ModelInfer(request(ROWS[:1]))
    with pytest.raises(Invalid, match="slice: needs the feature 'moon'; logged are"):
        await ask(deployment="flights", slice="moon")
    with pytest.raises(Invalid, match="since: '2026-99-99T00:00:00Z' is no time"):
        await ask(deployment="flights", since="2026-99-99T00:00:00Z")
    other = await alice.version(model_file(1), signed=signature([*COLUMNS[:-1], "moon"]), version="2.0.0")
    with pytest.raises(Invalid, match="candidate: needs the feature 'moon'; logged are hour, wind, rain, delay"):
        await ask(deployment="flights", candidate=other)
    bob = rig.caller("bob", tenant="other")
    with pytest.raises(NotFound):
        await bob.deployments.ReplayPredictions(pb.ReplayPredictionsRequest(deployment="flights"))
