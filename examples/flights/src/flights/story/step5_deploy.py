"""Step 5: the version is deployed, and answers over the Open Inference Protocol v2 in REST and gRPC."""

from __future__ import annotations

import grpc
import numpy as np
import polars as pl
from modelog.inference import predict
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from flights.features import FEATURES
from flights.story.cast import MODEL, Story


def tell(story: Story) -> None:
    story.step(5, "Deploy, and ask over the Open Inference Protocol")
    story.alice.deployments.create(MODEL, MODEL, story.first.version, "production")
    sample = story.month(2).filter(pl.col("label").is_not_null()).head(3)
    rest = predict(story.alice, MODEL, sample.select(FEATURES).to_dicts())
    by_rest = [float(outputs[0]) for outputs in rest["outputs"]]
    by_grpc = ask_over_grpc(story, sample.select(FEATURES).to_numpy())
    story.say(f"REST: {[round(p, 3) for p in by_rest]}   gRPC: {[round(p, 3) for p in by_grpc]}")
    np.testing.assert_allclose(by_rest, by_grpc, atol=1e-6)


def ask_over_grpc(story: Story, rows: np.ndarray) -> list[float]:
    """One tensor, (rows, features) FP32."""
    version = story.alice.models.version(MODEL, story.first.version)
    tensor = oip.ModelInferRequest.InferInputTensor(
        name=version.signature.inputs[0].name if version.signature else "input", datatype="FP32", shape=rows.shape
    )
    content = np.ascontiguousarray(rows, dtype="<f4").tobytes()
    request = oip.ModelInferRequest(model_name=MODEL, inputs=[tensor], raw_input_contents=[content])
    metadata = (("authorization", story.alice.authorization["Authorization"]),)
    with grpc.insecure_channel(story.endpoints["inference_grpc"]) as channel:
        answer = GRPCInferenceServiceStub(channel).ModelInfer(request, metadata=metadata, timeout=60)
    if answer.raw_output_contents:
        return [float(p) for p in np.frombuffer(answer.raw_output_contents[0], "<f4")]
    return list(answer.outputs[0].contents.fp32_contents)
