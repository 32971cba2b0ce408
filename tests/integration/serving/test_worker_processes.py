"""Worker processes on the same ports: they answer by the same log, and what they count adds up."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from modelog_common.domain.errors import Invalid
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import START_S, Caller, Process, answers_of, model_file, until
from worker_rig import (
    ROWS,
    WORKERS,
    Many,
    Storm,
    all_logged,
    events,
    logged,
    measured,
    output_of,
    request,
    started,
    workers_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """Serving with two workers, and a registry with two versions of flight-delay."""
    async with started(tmp_path_factory.mktemp("workers")) as made:
        yield made


async def test_what_workers_answer_is_found_proven_replayed_and_counted(process: Process, many: Many) -> None:
    alice, folder, name = process.rig.caller(), process.rig.folder, "shared"
    await alice.deploy(name=name)
    assert len(workers_of(process)) == WORKERS
    answers = [await many.ask(n, request(n, name=name)) for n in range(100)]
    expected = answers_of(model_file(0), ROWS[:100])
    assert [output_of(a) for a in answers] == pytest.approx(expected.tolist(), abs=1e-6)
    ids = sorted(a.parameters["prediction_id"].string_param for a in answers)
    by_worker = await all_logged(folder, name, ids)
    assert sorted(i for of in by_worker.values() for i in of) == ids
    assert all(by_worker[number] for number in (1, 2)), "24 connections: both workers have some"

    async def counted() -> bool:
        return (await alice.deployment(name)).variants[0].answered == measured(folder, name) == 100

    await until(counted, "all 100 answers were counted, and told in windows of traffic")
    for worker in (1, 2):
        found = await alice.deployments.GetPrediction(
            pb.GetPredictionRequest(deployment=name, prediction_id=by_worker[worker][0])
        )
        assert found.version == "1.0.0"
        inclusion = await alice.deployments.GetPredictionInclusion(
            pb.GetPredictionInclusionRequest(deployment=name, prediction_id=by_worker[worker][-1])
        )
        assert inclusion.position > 0
        assert inclusion.prediction.prediction_id == by_worker[worker][-1]
    assert sorted(await replayed(alice, name)) == ids


async def replayed(alice: Caller, name: str) -> list[str]:
    ids: list[str] = []
    after = 0
    while True:
        page = await alice.deployments.ReplayPredictions(
            pb.ReplayPredictionsRequest(deployment=name, after=after, limit=30)
        )
        assert list(page.logged) == list(page.replayed)
        ids += page.prediction_ids
        if not page.next_after:
            return ids
        assert after < page.next_after <= page.last
        after = page.next_after


async def test_a_place_that_no_replay_told_is_refused(process: Process) -> None:
    alice = process.rig.caller()
    await alice.deploy(name="places")
    with pytest.raises(Invalid, match="which is no place in these logs"):
        await alice.deployments.ReplayPredictions(pb.ReplayPredictionsRequest(deployment="places", after=1 << 60))


async def test_an_id_is_answered_once_whoever_is_asked(process: Process, many: Many) -> None:
    name = "ids"
    await process.rig.caller().deploy(name=name)
    first = output_of(await many.ask(0, request(0, "mine", name=name)))
    for n in range(1, 24):
        assert output_of(await many.ask(n, request(0, "mine", name=name))) == first
    assert [i for of in logged(process.rig.folder, name).values() for i in of] == ["mine"]
    for n in range(24):
        with pytest.raises(grpc.RpcError) as refused:
            await many.ask(n, request(1, "mine", name=name))
        assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS
        assert "already answered for other features" in refused.value.details()


async def test_a_new_split_is_everywhere_when_it_is_said_to_be_set(process: Process, many: Many) -> None:
    alice, name = process.rig.caller(), "splits"
    await alice.deploy(name=name)
    for split, version in (({"v1_1_0": 100}, "1.1.0"), ({"v1_0_0": 100}, "1.0.0"), ({"v1_1_0": 100}, "1.1.0")):
        await alice.split(name, **split)
        answers = await asyncio.gather(*(many.ask(n, request(n, name=name)) for n in range(48)))
        assert {a.model_version for a in answers} == {version}


async def test_keys_get_the_same_version_from_every_worker(process: Process, many: Many) -> None:
    alice, name = process.rig.caller(), "keys"
    await alice.deploy(name=name)
    await alice.split(name, v1_0_0=50, v1_1_0=50)
    versions: dict[str, set[str]] = {}
    for n in range(24):
        for key in ("a", "b", "c", "d", "e", "f"):
            answer = await many.ask(n, request(n, key=key, name=name))
            versions.setdefault(key, set()).add(answer.model_version)
    assert all(len(of) == 1 for of in versions.values()), versions
    assert len({v for of in versions.values() for v in of}) == 2


async def test_a_worker_that_is_killed_is_replaced_and_the_other_goes_on(process: Process, many: Many) -> None:
    alice, folder, name = process.rig.caller(), process.rig.folder, "killed"
    await alice.deploy(name=name)
    storm = Storm(many, name)
    await storm.had(200)
    victim, other = workers_of(process)
    os.kill(victim, signal.SIGKILL)

    async def replaced() -> bool:
        now = workers_of(process)
        return len(now) == WORKERS and victim not in now and other in now

    await until(replaced, "another process is there")
    await storm.had(200)

    async def both_answer() -> bool:
        # What the killed worker answered comes into its file late, so these are told apart by their ids.
        new, ids = Many(process.rig, alice), [str(uuid4()) for _ in range(24)]
        asked = [new.ask(n, request(n, i, name=name)) for n, i in enumerate(ids)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        await new.close()
        if any(isinstance(answer, BaseException) for answer in answers):
            return False
        by_worker = await all_logged(folder, name, ids)
        return all(not set(ids).isdisjoint(of) for of in by_worker.values())

    await until(both_answer, "the new worker answers, too")

    async def told() -> bool:
        return any(name == failed["name"] for failed in events(folder, "serving.ModelFailed"))

    await until(told, "the log of events says that a worker died")
    await storm.end()
    found = await all_logged(folder, name, storm.acknowledged)
    times = Counter(i for of in found.values() for i in of)
    assert set(times.values()) == {1}
    # What a killed worker had not reported yet is not counted; nothing is counted twice.
    assert 0 < (await alice.deployment(name)).variants[0].answered <= len(times)


async def test_workers_drain_and_their_last_counts_are_told(tmp_path: Path) -> None:
    """SIGTERM: what was answered is logged and counted to the last request, and no process is left."""
    async with started(tmp_path) as process:
        alice = process.rig.caller()
        await alice.deploy()
        many = Many(process.rig, alice)
        storm = Storm(many, "flights")
        await storm.had(300)
        workers = workers_of(process)
        assert process.terminate() == 0
        await storm.end()
        await many.close()
        ids = [i for of in logged(tmp_path).values() for i in of]
        assert set(storm.acknowledged) <= set(ids)
        assert len(ids) == len(set(ids)) == measured(tmp_path)
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        await process.start()
        workers = workers_of(process)
        assert len(workers) == WORKERS
        process.kill()

        async def gone() -> bool:
            return not [pid for pid in workers if Path(f"/proc/{pid}").exists()]

        await until(gone, "the workers ended with the process that decides")
        process.rig.environment["MODELOG_SERVING_WORKERS"] = "1"
        await process.start()
        # gRPC shares what it knows of an address: for a while it refuses what it could not reach a moment ago.
        alice = process.rig.caller()
        await asyncio.wait_for(alice.control.channel_ready(), START_S)
        for of in logged(tmp_path).values():
            inclusion = await alice.deployments.GetPredictionInclusion(
                pb.GetPredictionInclusionRequest(deployment="flights", prediction_id=of[-1])
            )
            assert inclusion.position > 0
