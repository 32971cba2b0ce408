"""What a large model adds to the memory of one process and of worker processes: what they map is there once.

Run: python tests/bench/bench_mapped_models.py [--workers 4] [--trees 2000] [--wide 2048]
A model of XGBoost (trees of depth 8, 20 features) and a network in ONNX (five layers), each in a server of one process
and in one of so many workers, which has one process more. A small model of the same kind is there before, so that its
library is not counted. `memory` is what all processes have (Pss: what they share is divided among them), `private` what
each has for itself and must not share. To see what it was before a change, run it with PYTHONPATH on the other code.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "serving"))

import numpy as np
import xgboost
from bench_workers import processes
from figures import machine, print_table, ratio
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2
from onnx import TensorProto, helper, numpy_helper
from serving_rig import Caller, Process, Rig, registry_of, signature
from worker_rig import Many

FEATURES = 20
NAMES = [f"f{n}" for n in range(FEATURES)]
CONNECTIONS = 64


@dataclass(frozen=True)
class Kind:
    """A large and a small file of a flavor; both answer FEATURES numbers with one."""

    flavor: str
    large: bytes
    small: bytes


@dataclass(frozen=True)
class Memory:
    """In MiB: of all processes together, and what each has for itself, the one that decides first."""

    whole: float
    private: list[float]

    def since(self, before: Memory) -> Memory:
        return Memory(
            self.whole - before.whole, [now - then for now, then in zip(self.private, before.private, strict=True)]
        )


def trees_of(count: int) -> bytes:
    draw = np.random.default_rng(1)
    features = draw.normal(size=(6000, FEATURES)).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] + draw.normal(size=6000) > 0).astype(int)
    settings = {"objective": "binary:logistic", "max_depth": 8, "min_child_weight": 0, "eta": 0.05, "nthread": 1}
    data = xgboost.DMatrix(features, labels, feature_names=NAMES)
    return bytes(xgboost.train(settings, data, count).save_raw("ubj"))


def network_of(wide: int) -> bytes:
    draw, widths = np.random.default_rng(2), [FEATURES, *[wide] * 5, 1]
    weights, nodes = [], []
    for n, (rows, columns) in enumerate(pairwise(widths)):
        values = (draw.normal(size=(rows, columns)) / np.sqrt(rows)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{n}"))
        nodes.append(helper.make_node("MatMul", [f"x{n}", f"w{n}"], [f"y{n}"]))
        nodes.append(helper.make_node("Tanh", [f"y{n}"], [f"x{n + 1}"]))
    inputs = [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["n", FEATURES])]
    outputs = [helper.make_tensor_value_info(f"x{len(widths) - 1}", TensorProto.FLOAT, ["n", 1])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def memory_of(process: Process) -> Memory:
    whole, private = 0.0, list[float]()
    for each in processes(process.pid).values():
        own = 0
        for line in Path(f"/proc/{each.pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "Pss":
                whole += int(rest.split()[0]) / 1024
            elif name.startswith("Private_"):
                own += int(rest.split()[0])
        private.append(own / 1024)
    return Memory(whole, private)


async def asked(process: Process, caller: Caller, name: str) -> None:
    """Over so many connections that each process has some of them."""
    request = oip.ModelInferRequest(
        model_name=name,
        inputs=[{"name": "features", "datatype": "FP32", "shape": [1, FEATURES]}],
        raw_input_contents=[np.zeros(FEATURES, np.float32).tobytes()],
    )
    many = Many(process.rig, caller, CONNECTIONS)
    for _ in range(4):
        await asyncio.gather(*(many.ask(number, request) for number in range(CONNECTIONS)))
    await many.close()


async def added(kind: Kind, workers: int) -> Memory:
    """What the large model adds, once it answered."""
    with tempfile.TemporaryDirectory() as made:
        async with registry_of(Rig(Path(made))) as rig:
            rig.environment["MODELOG_SERVING_WORKERS"] = str(workers)
            process = Process(rig)
            try:
                await process.start()
                alice = rig.caller()
                signed: model_pb2.Signature = signature(NAMES)
                found = []
                for name, content in (("small", kind.small), ("large", kind.large)):
                    version = await alice.version(content, signed=signed, flavor=kind.flavor)
                    await alice.deploy(version, name)
                    await asked(process, alice, name)
                    found.append(memory_of(process))
                return found[1].since(found[0])
            finally:
                process.terminate()


async def bench(workers: int, trees: int, wide: int) -> None:
    print(f"{FEATURES} features; {machine()}")
    kinds = [
        Kind("xgboost", trees_of(trees), trees_of(10)),
        Kind("onnx", network_of(wide), network_of(16)),
    ]
    for kind in kinds:
        one, many = await added(kind, 1), await added(kind, workers)
        size = len(kind.large) / (1 << 20)
        print_table(
            f"{kind.flavor}, a file of {size:.0f} MiB; MiB that it adds",
            ("", "memory", "private, each"),
            [
                ("1 process", f"{one.whole:.0f}", f"{one.private[0]:.0f}"),
                (f"{workers} workers and who decides", f"{many.whole:.0f}",
                 " ".join(f"{own:.0f}" for own in many.private)),
                ("beside 1", ratio(many.whole, one.whole), ""),
            ],
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trees", type=int, default=2000)
    parser.add_argument("--wide", type=int, default=2048)
    given = parser.parse_args()
    asyncio.run(bench(given.workers, given.trees, given.wide))


if __name__ == "__main__":
    main()
