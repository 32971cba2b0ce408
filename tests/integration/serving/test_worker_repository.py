"""The model repository over workers: what one of them is asked to load, let go of or count concerns all of them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from serving_rig import Process, model_file, until
from worker_rig import Many, request, started

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """Serving with two workers, and a registry with two versions of flight-delay."""
    async with started(tmp_path_factory.mktemp("workers")) as made:
        yield made


@contextmanager
def without(folder: Path, digest: str) -> Iterator[None]:
    """Have no copy of a file on this machine for as long as the block takes."""
    found = [path for path in folder.rglob("*") if path.is_file() and digest in path.name]
    assert found, f"{digest} is nowhere under {folder}"
    for path in found:
        path.rename(f"{path}.aside")
    try:
        yield
    finally:
        for path in found:
            Path(f"{path}.aside").rename(path)


async def answered(many: Many, asked: oip.ModelInferRequest) -> list[bool]:
    """Whether each of the connections gets an answer."""
    found = []
    for number in range(24):
        try:
            await many.ask(number, asked)
        except grpc.RpcError:
            found.append(False)
        else:
            found.append(True)
    return found


async def test_statistics_are_those_of_all_workers(process: Process, many: Many) -> None:
    await process.rig.caller().deploy(name="counted")
    for number in range(48):
        await many.ask(number, request(number, name="counted"))
    asked = oip.ModelStatisticsRequest(name="counted")

    async def all_of_them() -> bool:
        told = [answer.model_stats[0] for answer in await many.each("ModelStatistics", asked)]
        return {(one.inference_count, one.inference_stats.success.count) for one in told} == {(48, 48)}

    await until(all_of_them, "each worker says that 48 requests were answered")
    (told,) = (await many.each("ModelStatistics", asked))[0].model_stats
    assert told.inference_stats.success.ns > 0
    assert told.last_inference > 0


async def test_a_worker_s_own_answers_are_counted_at_once(process: Process, many: Many) -> None:
    await process.rig.caller().deploy(name="at-once")
    for asked in range(5):
        await many.ask(0, request(asked, name="at-once"))
    first = (await many.each("ModelStatistics", oip.ModelStatisticsRequest(name="at-once")))[0]
    assert first.model_stats[0].inference_count == 5


async def test_a_version_is_loaded_and_let_go_of_by_all_workers(process: Process, many: Many) -> None:
    await process.rig.caller().deploy(name="loaded")
    digest = hashlib.sha256(model_file(1)).hexdigest()
    asked = request(0, name="loaded")
    asked.model_version = "1.1.0"
    load = oip.RepositoryModelLoadRequest(model_name="loaded")
    load.parameters["version"].string_param = "1.1.0"
    unload = oip.RepositoryModelUnloadRequest(model_name="loaded")
    unload.parameters["version"].string_param = "1.1.0"
    await many.first("RepositoryModelLoad", load)
    with without(process.rig.folder, digest):
        assert await answered(many, asked) == [True] * 24
        await many.first("RepositoryModelUnload", unload)
        assert await answered(many, asked) == [False] * 24
    # Whoever asks later gets it loaded again.
    assert await answered(many, asked) == [True] * 24


async def test_what_traffic_needs_stays_everywhere_and_what_cannot_be_loaded_is_said(
    process: Process, many: Many
) -> None:
    await process.rig.caller().deploy(name="needed")
    unload = oip.RepositoryModelUnloadRequest(model_name="needed")
    with pytest.raises(grpc.RpcError, match="answers traffic and stays in memory"):
        await many.first("RepositoryModelUnload", unload)
    digest = hashlib.sha256(model_file(1)).hexdigest()
    load = oip.RepositoryModelLoadRequest(model_name="needed")
    load.parameters["version"].string_param = "1.1.0"
    for refused in (True, False):
        given = oip.RepositoryModelUnloadRequest(model_name="needed")
        given.parameters["version"].string_param = "1.1.0"
        await many.first("RepositoryModelUnload", given)
        if refused:
            with without(process.rig.folder, digest), pytest.raises(grpc.RpcError):
                await many.first("RepositoryModelLoad", load)
        else:
            await many.first("RepositoryModelLoad", load)
    assert await answered(many, request(1, name="needed")) == [True] * 24
