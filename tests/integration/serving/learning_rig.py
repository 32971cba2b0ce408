"""A deployment of a river model whose world changes, its labels by Kafka, and the same model learning by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cloudpickle
import numpy as np
from modelog_common.bus.clients import new_producer
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import OUTCOMES
from modelog_proto.common.v1 import common_pb2
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.serving.v1 import deployment_pb2, learning_pb2
from modelog_proto.serving.v1.data_pb2 import OutcomeBatch
from modelog_proto.serving.v1.learning_pb2_grpc import LearningServiceStub
from numpy.typing import NDArray
from river import linear_model, optim, preprocessing
from serving_rig import COLUMNS, TENANT, Caller, until

Rows = NDArray[np.float64]
SIGNATURE = model_pb2.Signature(
    inputs=[model_pb2.TensorSpec(name="features", datatype="FP64", shape=[-1, len(COLUMNS)], columns=COLUMNS)],
    outputs=[model_pb2.TensorSpec(name="late", datatype="FP64", shape=[-1])],
)
PATIENT_S = 120.0
ROWS: Rows = np.random.default_rng(21).normal(size=(3000, len(COLUMNS)))
# The world as the version was trained on it, and as it is now.
BEFORE = (ROWS[:, 3] + ROWS[:, 1] > 0).astype(int)
NOW = (ROWS[:, 3] - ROWS[:, 1] < 0).astype(int)


def by_name(row: Rows) -> dict[str, float]:
    return dict(zip(COLUMNS, row.tolist(), strict=True))


@cache
def registered() -> bytes:
    """What was registered: it has learned the world as it was."""
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.SGD(0.1))
    for row, label in zip(ROWS[2000:], BEFORE[2000:].tolist(), strict=True):
        model.learn_one(by_name(row), label)
    return bytes(cloudpickle.dumps(model))


def alone(labelled: Iterable[tuple[Rows, int]], begin: bytes | None = None) -> Any:
    """river by itself over the same labels."""
    model = cloudpickle.loads(begin or registered())
    for row, label in labelled:
        model.learn_one(by_name(row), label)
    return model


def chance(model: Any, row: Rows) -> float:
    return float(model.predict_proba_one(by_name(row))[True])


def asked(name: str, number: int) -> oip.ModelInferRequest:
    """A request for one row."""
    return oip.ModelInferRequest(
        model_name=name,
        inputs=[{"name": "features", "datatype": "FP64", "shape": [1, len(COLUMNS)]}],
        raw_input_contents=[ROWS[number].astype("<f8").tobytes()],
    )


@dataclass
class School:
    """Somebody who asks the deployment, and tells what became of it."""

    alice: Caller
    kafka: str
    name: str = "flights"
    _sequence: int = 0
    _stub: Any = field(init=False)

    def __post_init__(self) -> None:
        self._stub = LearningServiceStub(self.alice.control)

    async def deploy(self, bob: Caller, content: bytes | None = None, **fields: Any) -> str:
        version = await self.alice.version(content or registered(), flavor="river", signed=SIGNATURE)
        await bob.approve(version)
        await self.alice.promote(version, "staging")
        # The process of a model of river takes long to start on a busy machine.
        whole: dict[str, Any] = {
            "name": self.name,
            "model": "flight-delay",
            "version": version,
            "environment": deployment_pb2.DEPLOYMENT_ENVIRONMENT_DEV,
        } | fields
        await self.alice.deployments.CreateDeployment(
            deployment_pb2.CreateDeploymentRequest(**whole), timeout=PATIENT_S
        )
        return version

    async def set(self, mode: str, **terms: Any) -> learning_pb2.Learning:
        number = learning_pb2.LearningMode.Value(f"LEARNING_MODE_{mode.upper()}")
        request = learning_pb2.SetLearningRequest(deployment=self.name, mode=number, reason="test")
        if terms:
            request.terms.CopyFrom(learning_pb2.LearningTerms(**terms))
        made: learning_pb2.Learning = await self._stub.SetLearning(request, timeout=PATIENT_S)
        return made

    async def ask(self, numbers: Sequence[int], prefix: str = "p") -> list[float]:
        """What these rows are answered with; row n has the prediction id p000n."""
        found = []
        for number in numbers:
            message = asked(self.name, number)
            message.parameters["prediction_id"].string_param = f"{prefix}{number:04}"
            answer = await self.alice.inference.ModelInfer(message)
            found.append(float(np.frombuffer(answer.raw_output_contents[0], "<f8")[0]))
        return found

    async def tell(self, numbers: Sequence[int], labels: Sequence[float], prefix: str = "p", **fields: Any) -> None:
        """Tell what became of rows, in one batch."""
        self._sequence += 1
        whole: dict[str, Any] = {
            "deployment": self.name,
            "producer": "labels",
            "sequence": self._sequence,
            "prediction_ids": [f"{prefix}{number:04}" for number in numbers],
            "labels": labels,
            "event_times_us": [1] * len(numbers),
        } | fields
        topic = OUTCOMES.of(TENANT)
        await KafkaBroker(self.kafka).open(topic)

        def produce() -> int:
            producer = new_producer(self.kafka, **{"message.timeout.ms": 150_000})
            producer.produce(topic.name, OutcomeBatch(**whole).SerializeToString())
            return int(producer.flush(150))

        assert await asyncio.to_thread(produce) == 0

    async def learning(self, **read: Any) -> learning_pb2.Learning:
        request = learning_pb2.GetLearningRequest(deployment=self.name, read=common_pb2.ReadOptions(**read))
        found: learning_pb2.Learning = await self._stub.GetLearning(request)
        return found

    async def steps(self, **read: Any) -> list[learning_pb2.LearningStep]:
        request = learning_pb2.ListLearningStepsRequest(
            deployment=self.name, read=common_pb2.ReadOptions(**read), page=common_pb2.Page(size=500)
        )
        return list((await self._stub.ListLearningSteps(request)).steps)

    async def replay(self, step: int) -> learning_pb2.ReplayedLearningStep:
        request = learning_pb2.ReplayLearningStepRequest(deployment=self.name, step=step)
        found: learning_pb2.ReplayedLearningStep = await self._stub.ReplayLearningStep(request, timeout=PATIENT_S)
        return found

    async def learned(self, labels: int) -> None:
        """Wait until so many labels were learned from."""

        async def there() -> bool:
            return sum(version.labels for version in (await self.learning()).versions) >= labels

        await until(there, f"{labels} labels were learned from", PATIENT_S)

    async def digest(self, number: int, prefix: str = "p") -> str:
        """The digest that the log has for the answer to a row."""
        request = deployment_pb2.GetPredictionRequest(deployment=self.name, prediction_id=f"{prefix}{number:04}")
        return str((await self.alice.deployments.GetPrediction(request)).model_digest)
