"""An answer that no version gave: it is traced to its deployment, and proven by the event that set it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from lineage_support import TENANT, Log, Place, serving_peer
from modelog_common.domain.errors import NotFound
from modelog_lineage.audit.prediction import record_of
from modelog_proofs import MemoryHashStore, MerkleTree, prediction_hash, verify_prediction
from modelog_proto.lineage.v1 import lineage_pb2 as pb
from modelog_proto.serving.v1 import deployment_pb2
from modelog_proto.serving.v1.deployment_pb2_grpc import DeploymentServiceServicer

OUTPUTS = [{"name": "late", "values": [0.25]}]
DIGEST = hashlib.sha256(b'[["late",[0.25]]]').hexdigest()
ANSWER = deployment_pb2.LoggedPrediction(
    log_id="log", tenant=TENANT, deployment="live", model="flight-delay", prediction_id="p1", key="N1",
    version="default", model_digest=DIGEST, event_time_us=1, answered_at_us=2, feature_names=["hour"], features=[9.0],
    outputs=[0.25],
)  # fmt: skip


class Serving(DeploymentServiceServicer):
    """Tells of one prediction, which was sealed alone by the event at `position`."""

    position = 0

    async def GetPrediction(self, request: Any, context: Any) -> deployment_pb2.Prediction:
        made = deployment_pb2.Prediction(
            prediction_id="p1", deployment="live", model="flight-delay", version="default", model_digest=DIGEST,
            features={"hour": 9.0}, outputs=[0.25],
        )  # fmt: skip
        made.answered_at.FromDatetime(datetime.now(UTC))
        return made

    async def GetPredictionInclusion(self, request: Any, context: Any) -> deployment_pb2.PredictionInclusion:
        return deployment_pb2.PredictionInclusion(prediction=ANSWER, leaf_index=0, position=self.position)


async def test_a_default_answer_is_traced_and_proven(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    serving = Serving()
    asked = pb.ProvePredictionRequest(deployment="live", prediction_id="p1")
    async with serving_peer(serving, place.verifier) as address:
        place.settings = place.settings.changed(peers={"serving": address})
        async with place.running(), log.relayed(fresh_broker.bootstrap):
            alice = place.person()
            trace = pb.TracePredictionRequest(deployment="live", prediction_id="p1")
            graph = await alice.lineage.TracePrediction(trace)
            answered = [(getattr(e, "from"), e.to) for e in graph.edges if e.kind == "ANSWERED_BY"]
            assert answered == [("Prediction:live/p1", "Deployment:live")]
            serving.position = await _sealed(log)
            with pytest.raises(NotFound, match=f"no event tells of a default answer of live with digest {DIGEST}"):
                await alice.audit.ProvePrediction(asked)
            for fallback in ({"outputs": OUTPUTS, "default_digest": DIGEST}, {"outputs": [], "default_digest": ""}):
                set_at = await log.append(
                    "serving.deployment/ResilienceSet", "live", name="live", model="flight-delay",
                    resilience={"fallback": fallback},
                )  # fmt: skip
            serving.position = await _sealed(log)
            found = await alice.audit.ProvePrediction(asked)
            checkpoint = await alice.audit.GetCheckpoint(pb.GetCheckpointRequest())
    proven = verify_prediction(found.document, checkpoint.public_key)
    assert proven.version.position == set_at - 1
    assert "answered by no version of flight-delay: the default answer" in proven.text()


async def _sealed(log: Log) -> int:
    tree = MerkleTree(MemoryHashStore())
    tree.extend([prediction_hash(record_of(ANSWER))])
    return await log.append("serving.segment/PredictionsSealed", TENANT, log_id="log", count=1, root=tree.root(1).hex())
