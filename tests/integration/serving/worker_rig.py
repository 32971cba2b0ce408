"""Serving with worker processes: many connections to them, and what each of them wrote."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from serving_rig import Caller, Process, Rig, registry_of, until

WORKERS = 2
ROWS = np.random.default_rng(8).normal(size=(4000, 4)).astype(np.float32)


def request(row: int, prediction_id: str = "", key: str = "", name: str = "flights") -> Any:
    made = oip.ModelInferRequest(
        model_name=name,
        inputs=[{"name": "features", "datatype": "FP32", "shape": [1, 4]}],
        raw_input_contents=[ROWS[row].tobytes()],
    )
    for parameter, value in (("prediction_id", prediction_id), ("key", key)):
        if value:
            made.parameters[parameter].string_param = value
    return made


def output_of(answer: Any) -> float:
    (found,) = np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()
    return float(found)


def logged(folder: Path, name: str = "flights") -> dict[int, list[str]]:
    """The ids of what each worker answered for a deployment."""
    found = {}
    for path in (folder / "serving" / "workers").glob("*/predictions.db"):
        with closing(sqlite3.connect(path)) as db:
            bodies = db.execute("SELECT body FROM batch ORDER BY sequence").fetchall()
        batches = [PredictionBatch.FromString(body) for (body,) in bodies]
        found[int(path.parent.name)] = [
            i for batch in batches if batch.deployment == name for i in batch.prediction_ids
        ]
    return found


async def all_logged(folder: Path, name: str, ids: Iterable[str]) -> dict[int, list[str]]:
    """As `logged`, when these are there: what was answered a moment ago is in a journal."""
    wanted = set(ids)

    async def there() -> bool:
        return wanted <= {i for of in logged(folder, name).values() for i in of}

    await until(there, "what was acknowledged is in the files of the prediction logs")
    return logged(folder, name)


def workers_of(process: Process) -> list[int]:
    """The process ids of the workers that run now."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == process.pid and b"modelog_serving.crew" in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except (OSError, IndexError, ValueError):
            continue
    return sorted(found)


class Many:
    """Connections of their own, so that each may be another worker's."""

    def __init__(self, rig: Rig, caller: Caller, connections: int = 24) -> None:
        options = (("grpc.use_local_subchannel_pool", 1),)
        self._metadata = (("authorization", f"Bearer {caller.token}"),)
        self._channels = [grpc.aio.insecure_channel(rig.oip, options) for _ in range(connections)]
        self._stubs: list[Any] = [GRPCInferenceServiceStub(channel) for channel in self._channels]

    async def ask(self, number: int, asked: Any) -> Any:
        stub = self._stubs[number % len(self._stubs)]
        return await stub.ModelInfer(asked, metadata=self._metadata, timeout=150)

    async def first(self, method: str, asked: Any) -> Any:
        """What a method of the protocol answers on the first of the connections."""
        return await getattr(self._stubs[0], method)(asked, metadata=self._metadata, timeout=150)

    async def each(self, method: str, asked: Any) -> list[Any]:
        """What a method of the protocol answers on each of the connections."""
        calls = [getattr(stub, method)(asked, metadata=self._metadata, timeout=150) for stub in self._stubs]
        return [await call for call in calls]

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


class Storm:
    """24 clients that ask until they are refused; remembers what was acknowledged."""

    def __init__(self, many: Many, name: str) -> None:
        self.acknowledged: list[str] = []
        self.failed = 0
        self._many, self._name = many, name
        self._over = False
        self._clients = [asyncio.create_task(self._client(number)) for number in range(24)]

    async def _client(self, number: int) -> None:
        row = number
        while not self._over:
            row = (row + 24) % len(ROWS)
            try:
                answer = await self._many.ask(number, request(row, name=self._name))
            except grpc.RpcError:
                # A worker that was killed takes what it was asked along; others may be asked again.
                self.failed += 1
                continue
            self.acknowledged.append(answer.parameters["prediction_id"].string_param)

    async def had(self, more: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.acknowledged) + more

        async def there() -> bool:
            return len(self.acknowledged) >= wanted

        await until(there, f"{wanted} requests were answered")

    async def end(self) -> None:
        self._over = True
        await asyncio.gather(*self._clients)


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The payloads of events of a type."""
    with closing(sqlite3.connect(folder / "events.db")) as db:
        found = db.execute("SELECT payload FROM events WHERE type = ?", (kind,)).fetchall()
    return [json.loads(payload) for (payload,) in found]


def measured(folder: Path, name: str = "flights") -> int:
    """The requests of all windows of a deployment."""
    windows = [w for w in events(folder, "serving.TrafficMeasured") if w["name"] == name]
    return sum(version["requests"] for window in windows for version in window["versions"])


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Process]:
    async with registry_of(Rig(folder)) as rig:
        rig.environment |= {"MODELOG_SERVING_WORKERS": str(WORKERS), "MODELOG_SERVING_TRAFFIC_WINDOW_S": "1"}
        made = Process(rig)
        await made.start()
        try:
            yield made
        finally:
            made.kill()
