"""The other ends of a retraining: refused, rejected, lost as a canary, failed, and what is only late."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb
from monitoring_world import sigmoid


async def begin(bench: Any, **policy: Any) -> Any:
    """A window with a loss of quality has started a retraining."""
    await bench.create_monitor()
    await bench.create_policy(**policy)
    bench.streams.hour(0)
    bench.streams.hour(1)
    return await bench.until_state(pb.RETRAINING_STATE_TRAINING)


async def to_canary(bench: Any, **policy: Any) -> None:
    retraining = await begin(bench, **policy)
    bench.streams.job_succeeded(retraining.job_id, "1.1.0")
    bench.streams.reviewed("1.1.0", comment="fine on paper")
    bench.streams.hour(2)
    bench.streams.hour(3)
    await bench.until_state(pb.RETRAINING_STATE_CANARY)


async def test_a_challenger_that_gains_nothing_is_refused(bench: Any) -> None:
    bench.world.models["1.1.0"] = bench.world.models["1.0.0"]
    async with bench.monitoring():
        retraining = await begin(bench)
        bench.streams.job_succeeded(retraining.job_id, "1.1.0")
        bench.streams.hour(2)
        bench.streams.hour(3)
        refused = await bench.until_state(pb.RETRAINING_STATE_REFUSED)
        assert "no gain beyond chance on 1500 fresh rows" in refused.reason
        assert not refused.evaluation.challenger_wins
        assert refused.ended_at.seconds > 0
    assert {step for step, *_ in bench.world.done} == {"submit"}


async def test_a_rejected_challenger_never_sees_traffic(bench: Any) -> None:
    async with bench.monitoring():
        retraining = await begin(bench)
        bench.streams.job_succeeded(retraining.job_id, "1.1.0")
        bench.streams.hour(2)
        bench.streams.hour(3)
        await bench.until_state(pb.RETRAINING_STATE_AWAITING_APPROVAL)
        bench.streams.reviewed("1.1.0", "rejected", "unfair to small airports")
        refused = await bench.until_state(pb.RETRAINING_STATE_REFUSED)
        assert refused.reason == "bob rejected flight-delay 1.1.0: unfair to small airports"
    assert bench.world.traffic == {"1.0.0": 100.0}


async def test_a_canary_that_does_harm_is_taken_back(bench: Any) -> None:
    async with bench.monitoring():
        # More than are sent: monitoring may hear of all of them at once, and looks then.
        await to_canary(bench, canary_rows=4000)
        bench.world.models["1.1.0"] = lambda x: sigmoid(-2.0 * x[:, 1])  # as it is served, it is another model
        bench.streams.hour(4, 2000)
        bench.streams.hour(5, 2000)
        refused = await bench.until_state(pb.RETRAINING_STATE_REFUSED)
        assert refused.reason.startswith("worse on ")
        assert refused.evaluation.challenger_wins
        look = refused.latest_look
        assert look.verdict == pb.CANARY_VERDICT_WORSE
        assert look.rows < 4000, "it need not be tried to its end"
        assert look.low < look.gain < look.high < 0
    assert bench.world.traffic == {"1.0.0": 100.0}
    others = [done for done in bench.world.done if done[0] != "submit"]
    assert others[-2:] == [("traffic", "1.0.0=100"), ("promote", "1.1.0", "archived")]


async def test_a_failed_job_ends_the_retraining_and_a_later_window_starts_another(bench: Any) -> None:
    async with bench.monitoring():
        retraining = await begin(bench)
        bench.streams.event("training", "JobFailed", job_id=retraining.job_id, attempt=3, error="no such column: wind")
        failed = await bench.until_state(pb.RETRAINING_STATE_FAILED)
        assert failed.reason == "training failed: no such column: wind"
        bench.streams.hour(2)
        bench.streams.hour(3)

        async def another() -> bool:
            return len(await bench.retrainings()) == 2

        await bench.until(another, "the next window starts another retraining")
        assert (await bench.retrainings())[1].window_id != failed.window_id


async def test_a_job_that_registers_nothing_is_a_failure(bench: Any) -> None:
    async with bench.monitoring():
        retraining = await begin(bench)
        bench.streams.job_succeeded(retraining.job_id, "")
        failed = await bench.until_state(pb.RETRAINING_STATE_FAILED)
        assert failed.reason == "the job registered no model version"


async def test_a_canary_that_cannot_be_taken_back_is_told(bench: Any) -> None:
    async with bench.monitoring():
        await to_canary(bench)
        bench.world.models["1.1.0"] = lambda x: sigmoid(-2.0 * x[:, 1])
        bench.world.refuse["traffic"] = (grpc.StatusCode.FAILED_PRECONDITION, "the deployment was stopped")
        bench.streams.hour(4, 2000)
        bench.streams.hour(5, 2000)
        failed = await bench.until_state(pb.RETRAINING_STATE_FAILED)
        expected = "the deployment was stopped; and the traffic stays split: the deployment was stopped"
        assert failed.reason == expected


async def test_a_job_that_is_refused_is_told_as_a_failure(bench: Any) -> None:
    bench.world.refuse["submit"] = (grpc.StatusCode.INVALID_ARGUMENT, "spec.experiment: there is none of that name")
    async with bench.monitoring():
        await bench.create_monitor()
        await bench.create_policy()
        bench.streams.hour(0)
        bench.streams.hour(1)
        failed = await bench.until_state(pb.RETRAINING_STATE_FAILED)
        assert "could not be submitted: spec.experiment: there is none of that name" in failed.reason


async def test_a_promotion_that_is_refused_ends_the_canary_first(bench: Any) -> None:
    bench.world.refuse["promote production"] = (grpc.StatusCode.FAILED_PRECONDITION, "the approval was withdrawn")
    async with bench.monitoring():
        await to_canary(bench)
        bench.streams.hour(4, 2000)
        bench.streams.hour(5, 2000)
        failed = await bench.until_state(pb.RETRAINING_STATE_FAILED)
        assert failed.reason == "the approval was withdrawn"
        # Whichever it is found to be first, depending on how outcomes come in.
        assert failed.latest_look.verdict in (pb.CANARY_VERDICT_BETTER, pb.CANARY_VERDICT_NOT_WORSE)
    assert bench.world.traffic == {"1.0.0": 100.0}


async def test_what_is_only_unavailable_is_tried_again(bench: Any) -> None:
    bench.world.unavailable["submit"] = 7  # more often than one call repeats by itself
    bench.world.lose["traffic"] = 2
    async with bench.monitoring():
        await to_canary(bench)
    assert bench.world.done == [("submit", "job-1"), ("promote", "1.1.0", "staging"), ("traffic", "1.0.0=80 1.1.0=20")]


async def test_a_job_that_ended_unheard_is_asked_for(bench: Any) -> None:
    """The job was over before the retraining knew of it, and no event of it will come."""
    from modelog_proto.training.v1 import training_pb2

    def submit_done(job: Any) -> None:
        job.status, job.registered_version = training_pb2.JOB_STATUS_SUCCEEDED, "1.1.0"

    bench.world.on_job = submit_done
    async with bench.monitoring():
        await bench.create_monitor()
        await bench.create_policy()
        bench.streams.hour(0)
        bench.streams.hour(1)
        evaluating = await bench.until_state(pb.RETRAINING_STATE_EVALUATING)
        assert evaluating.challenger == "1.1.0"


async def test_a_reference_is_taken_from_the_first_window_when_none_is_given(bench: Any) -> None:
    async with bench.monitoring():
        await bench.create_monitor(reference_auc=0, reference_log_loss=0)
        for hour in range(3):
            bench.streams.hour(hour)
        first = (await bench.until_windows(2))[0]
        monitor = await bench.calls.GetMonitor(pb.GetMonitorRequest(name="flights"))
        assert monitor.reference_auc == first.quality.auc
        assert not first.quality_alert
        assert np.isclose(monitor.reference_log_loss, first.quality.log_loss)
