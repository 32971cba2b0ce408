"""Monitoring is killed with kill -9 wherever it hurts, and nothing is lost or happens twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_monitoring.monitor.events import AlertDelivered, AlertRaised, WindowEvaluated
from modelog_monitoring.retraining.events import CanaryLooked, RetrainingEvent
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb

ALL_DONE = [
    ("submit", "job-1"),
    ("promote", "1.1.0", "staging"),
    ("traffic", "1.0.0=80 1.1.0=20"),
    ("promote", "1.1.0", "production"),
    ("traffic", "1.1.0=100"),
    ("promote", "1.0.0", "archived"),
]
RETRAINING_EVENTS = [
    "RetrainingStarted",
    "ChallengerTrained",
    "ChallengerEvaluated",
    "CanaryStarted",
    "CanaryLooked",
    "CanaryDecided",
    "ChallengerPromoted",
]


@asynccontextmanager
async def restarted(process: Any) -> AsyncIterator[None]:
    """Start the process again whenever it is dead."""

    async def watch() -> None:
        while True:
            if not process.runs:
                process.spawn()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def patient_until_state(bench: Any, state: int) -> Any:
    """Wait for a state of the first retraining while the process comes and goes."""

    async def reached() -> bool:
        try:
            return await bench.state() == state
        except Unavailable:
            return False

    await bench.until(reached, pb.RetrainingState.Name(state), lambda: str(bench.world.done))
    return (await bench.retrainings())[0]


async def check_once(bench: Any) -> None:
    """Every step of the first retraining happened once; a later window may start another."""
    assert [done for done in bench.world.done if done != ("submit", "job-2")] == ALL_DONE
    events = await bench.events()
    steps = [e for e in events if isinstance(e, RetrainingEvent)]
    told = [type(e).__name__ for e in steps if e.retraining_id == steps[0].retraining_id]
    looks = [e.number for e in steps if isinstance(e, CanaryLooked)]
    assert looks == list(range(1, len(looks) + 1))
    assert [name for name, _ in groupby(told)] == RETRAINING_EVENTS
    windows = Counter(e.start for e in events if isinstance(e, WindowEvaluated))
    assert set(windows.values()) == {1}
    counted = [e.predictions for e in events if isinstance(e, WindowEvaluated)]
    assert counted == [1000, 1000, 1000, 1000, 2000][: len(counted)]
    raised = [e.alert_id for e in events if isinstance(e, AlertRaised)]
    delivered = [(e.alert_id, e.channel) for e in events if isinstance(e, AlertDelivered)]
    assert len(set(raised)) == len(raised)
    assert len(set(delivered)) == len(delivered)


@pytest.mark.slow
async def test_killed_after_each_thing_it_does_to_others(bench: Any, process: Any) -> None:
    """The other service has done what it was asked, and the process dies before it hears so."""
    world, streams = bench.world, bench.streams
    await bench.create_monitor()
    await bench.create_policy()
    world.killer = process.kill
    world.kill_after = {"submit", "promote staging", "traffic", "promote production", "promote archived"}
    async with restarted(process):
        streams.hour(0)
        streams.hour(1)
        retraining = await patient_until_state(bench, pb.RETRAINING_STATE_TRAINING)
        streams.job_succeeded(retraining.job_id, "1.1.0")
        await patient_until_state(bench, pb.RETRAINING_STATE_EVALUATING)
        streams.hour(2)
        streams.hour(3)
        await patient_until_state(bench, pb.RETRAINING_STATE_AWAITING_APPROVAL)
        streams.reviewed("1.1.0")
        await patient_until_state(bench, pb.RETRAINING_STATE_CANARY)
        world.kill_after.add("traffic")
        streams.hour(4, 2000)
        streams.hour(5, 2000)
        await patient_until_state(bench, pb.RETRAINING_STATE_PROMOTED)
    assert not world.kill_after
    process.kill()
    await check_once(bench)


async def test_stopped_in_each_state_while_the_next_thing_happens(bench: Any) -> None:
    """What monitoring waits for comes while it is not there."""
    streams = bench.streams
    async with bench.monitoring():
        await bench.create_monitor()
        await bench.create_policy()
    streams.hour(0)
    streams.hour(1)
    async with bench.monitoring():
        retraining = await bench.until_state(pb.RETRAINING_STATE_TRAINING)
    streams.job_succeeded(retraining.job_id, "1.1.0")
    async with bench.monitoring():
        await bench.until_state(pb.RETRAINING_STATE_EVALUATING)
    streams.hour(2)
    streams.hour(3)
    async with bench.monitoring():
        await bench.until_state(pb.RETRAINING_STATE_AWAITING_APPROVAL)
    streams.reviewed("1.1.0")
    async with bench.monitoring():
        await bench.until_state(pb.RETRAINING_STATE_CANARY)
    streams.hour(4, 2000)
    streams.hour(5, 2000)
    async with bench.monitoring():
        await bench.until_state(pb.RETRAINING_STATE_PROMOTED)
    async with bench.monitoring():
        assert await bench.state() == pb.RETRAINING_STATE_PROMOTED
    await check_once(bench)
