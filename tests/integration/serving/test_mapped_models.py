"""Two workers and the process that decides map what was made of a model once, for as long as they have the model."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import pytest_asyncio
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from serving_rig import COLUMNS, Caller, Process, answers_of, model_file, until
from worker_rig import ROWS, WORKERS, Many, output_of, request, started, workers_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHARED, OWN = "Shared_Clean", "Private_Dirty"
TREES = model_file(3, 200)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """Serving with two workers; by `keeper` the repository knows all versions of its model."""
    async with started(tmp_path_factory.mktemp("mapped")) as made:
        await made.rig.caller().deploy(name="keeper")
        yield made


@cache
def network() -> bytes:
    draw, wide = np.random.default_rng(2), 1024
    weights = [
        numpy_helper.from_array(draw.normal(size=shape).astype(np.float32) / 30, name)
        for name, shape in (("a", (len(COLUMNS), wide)), ("b", (wide, wide)), ("c", (wide, 1)))
    ]
    nodes = [helper.make_node("MatMul", [of, by], [to]) for of, by, to in (("x", "a", "p"), ("p", "b", "q"))]
    nodes.append(helper.make_node("MatMul", ["q", "c"], ["late"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(COLUMNS)])]
    outputs = [helper.make_tensor_value_info("late", TensorProto.FLOAT, ["n", 1])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    )


def model_file_of(process: Process, content: bytes) -> Path:
    """As serving keeps it."""
    return FolderBlobStore(process.rig.folder / "serving" / "models").path(hashlib.sha256(content).hexdigest())


def made_of(process: Process, content: bytes) -> list[Path]:
    file = model_file_of(process, content)
    return sorted(file.parent.glob(f"{file.name}.*.made"))


def mapped(pid: int, content: bytes) -> dict[str, int]:
    """KiB of what was made of a model that a process has mapped, by what they are; empty where it has nothing of it."""
    digest, found, within = hashlib.sha256(content).hexdigest(), dict[str, int](), False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if "-" in name.split(" ")[0]:
            within = digest in line and ".made" in line
        elif within and value.endswith("kB"):
            found[name] = found.get(name, 0) + int(value.removesuffix("kB"))
    return found


def everybody(process: Process) -> list[int]:
    return [process.pid, *workers_of(process)]


async def all_have(process: Process, content: bytes) -> None:
    async def so() -> bool:
        return len(workers_of(process)) == WORKERS and all(mapped(pid, content) for pid in everybody(process))

    await until(so, "all processes have the model mapped")


async def nobody_has(process: Process, content: bytes) -> None:
    async def so() -> bool:
        return not any(mapped(pid, content) for pid in everybody(process))

    await until(so, "no process has the model mapped")


async def answers(many: Many, name: str, rows: int = 48) -> list[float]:
    return [output_of(await many.ask(row, request(row, name=name))) for row in range(rows)]


@pytest.mark.parametrize("flavor", ["xgboost", "onnx"])
async def test_a_model_is_in_the_memory_of_all_processes_once(process: Process, many: Many, flavor: str) -> None:
    alice, content = process.rig.caller(), TREES if flavor == "xgboost" else network()
    version = await alice.version(content, flavor=flavor)
    await alice.deploy(version, f"once-{flavor}")
    found = await answers(many, f"once-{flavor}")
    if flavor == "xgboost":
        np.testing.assert_allclose(found, answers_of(content, ROWS[:48]), rtol=1e-6)
    else:
        np.testing.assert_allclose(found, ROWS[:48] @ weights_of(content), rtol=1e-4, atol=1e-5)
    (made,) = made_of(process, content)
    await all_have(process, content)
    for pid in everybody(process):
        has = mapped(pid, content)
        # The weights that were not packed are not looked at again.
        assert has[SHARED] * 1024 > made.stat().st_size * 0.45
        assert has[OWN] == 0
    await stopped(alice, f"once-{flavor}")


def weights_of(content: bytes) -> NDArray[np.float64]:
    """Of a network that only multiplies."""
    found = [
        numpy_helper.to_array(each).astype(np.float64) for each in onnx.load_from_string(content).graph.initializer
    ]
    weights: NDArray[np.float64] = np.linalg.multi_dot(found)[:, 0]
    return weights


async def stopped(alice: Caller, name: str) -> None:
    await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name=name, reason="test"))


async def test_a_version_that_is_let_go_of_is_mapped_no_more(process: Process, many: Many) -> None:
    content = model_file(4, 50)
    version = await loaded(process, many, content)
    await let_go(many, version)
    await nobody_has(process, content)
    assert len(made_of(process, content)) == 1


async def test_a_deployment_that_rests_has_nothing_mapped(process: Process, many: Many) -> None:
    alice, content = process.rig.caller(), model_file(5, 50)
    await alice.deploy(await alice.version(content), "rare")
    before = await answers(many, "rare")
    await all_have(process, content)
    scaling = pb.Scaling(min_replicas=WORKERS, max_replicas=WORKERS, scale_to_zero=True, idle_s=1)
    await alice.deployments.SetScaling(pb.SetScalingRequest(name="rare", scaling=scaling, reason="test"))
    await nobody_has(process, content)
    found = await asyncio.gather(*(many.ask(row, request(row, name="rare")) for row in range(48)))
    assert [output_of(answer) for answer in found] == before
    assert any(mapped(pid, content) for pid in everybody(process))
    await stopped(alice, "rare")


@pytest.mark.parametrize("flavor", ["xgboost", "onnx"])
async def test_what_was_damaged_or_removed_on_disk_is_made_again(process: Process, many: Many, flavor: str) -> None:
    alice, content = process.rig.caller(), model_file(6, 50) if flavor == "xgboost" else network()
    version = await alice.version(content, flavor=flavor)
    await alice.deploy(version, f"first-{flavor}")
    before = await answers(many, f"first-{flavor}")
    await stopped(alice, f"first-{flavor}")
    for number, harm in enumerate((damaged, Path.unlink)):
        (made,) = made_of(process, content)
        whole = made.read_bytes()
        harm(made)
        name = f"again-{flavor}-{number}"
        await let_go(many, version)
        await alice.deploy(version, name)
        assert await answers(many, name) == before
        (again,) = made_of(process, content)
        assert (again, again.stat().st_size) == (made, len(whole))
        await all_have(process, content)
        await stopped(alice, name)


def damaged(made: Path) -> None:
    """As another file, for who has this one mapped must not be harmed."""
    content = bytearray(made.read_bytes())
    content[len(content) // 3] ^= 255
    other = made.with_name("damaged")
    other.write_bytes(content)
    other.replace(made)


async def loaded(process: Process, many: Many, content: bytes) -> str:
    """Have all processes load it as a version that no traffic needs."""
    version = await process.rig.caller().version(content)
    load = oip.RepositoryModelLoadRequest(model_name="keeper")
    load.parameters["version"].string_param = version
    await many.first("RepositoryModelLoad", load)
    await all_have(process, content)
    return version


async def let_go(many: Many, version: str) -> None:
    unload = oip.RepositoryModelUnloadRequest(model_name="keeper")
    unload.parameters["version"].string_param = version
    await many.first("RepositoryModelUnload", unload)


async def test_what_was_made_of_a_file_goes_when_the_file_is_gone(process: Process, many: Many) -> None:
    kept, gone = model_file(7, 50), model_file(8, 50)
    for content in (kept, gone):
        await loaded(process, many, content)
    (made,) = made_of(process, gone)
    model_file_of(process, gone).unlink()
    process.kill()
    await process.start()
    assert not made.exists()
    assert len(made_of(process, kept)) == 1
