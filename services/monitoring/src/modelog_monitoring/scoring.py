"""Scores of one model version on given rows, asked of serving over the Open Inference Protocol."""

from __future__ import annotations

import grpc.aio
import numpy as np
from modelog_common.domain.errors import Invalid
from modelog_proto.inference.grpc_predict_v2_pb2 import ModelInferRequest, ModelInferResponse
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from modelog_proto.registry.v1.model_pb2 import Signature

from modelog_monitoring.data.rows import Floats32, Floats64
from modelog_monitoring.signature import width_of

ROWS_AT_ONCE = 5_000
ELEMENTS_AT_ONCE = 500_000
DEADLINE_S = 60.0
_DTYPES = {"FP32": "<f4", "FP64": "<f8"}


class Scorer:
    """A model version that is named is not traffic: serving neither splits nor logs such requests."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._serving = GRPCInferenceServiceStub(channel)

    async def scores(self, deployment: str, version: str, signature: Signature, features: Floats32) -> Floats64:
        """Scores (rows,) of features (rows, features), whose columns are in the signature's order.

        The score is the last output. Raises NotFound, Invalid or Unavailable as serving does.
        """
        step = max(1, min(ROWS_AT_ONCE, ELEMENTS_AT_ONCE // max(1, features.shape[1])))
        found = [np.empty(0)]
        for start in range(0, len(features), step):
            part = features[start : start + step]
            request = _request(deployment, version, signature, part)
            answer = await self._serving.ModelInfer(request, timeout=DEADLINE_S)
            found.append(_scores(answer, len(part)))
        return np.concatenate(found)


def _request(deployment: str, version: str, signature: Signature, features: Floats32) -> ModelInferRequest:
    request = ModelInferRequest(model_name=deployment, model_version=version)
    start = 0
    for spec in signature.inputs:
        width = width_of(spec)
        tensor = request.inputs.add(name=spec.name, datatype=spec.datatype, shape=[len(features), width])
        if tensor.datatype not in _DTYPES:
            raise Invalid.field(
                "deployment", f"input {spec.name!r} has datatype {spec.datatype}; FP32 or FP64 is needed"
            )
        part = np.ascontiguousarray(features[:, start : start + width], _DTYPES[tensor.datatype])
        request.raw_input_contents.append(part.tobytes())
        start += width
    return request


def _scores(answer: ModelInferResponse, rows: int) -> Floats64:
    if not answer.outputs:
        raise Invalid.field("outputs", f"{answer.model_name} {answer.model_version} answered without outputs")
    last = answer.outputs[-1]
    if last.datatype not in _DTYPES:
        raise Invalid.field("outputs", f"{last.name!r} has datatype {last.datatype}; FP32 or FP64 is needed")
    if answer.raw_output_contents:
        values = np.frombuffer(answer.raw_output_contents[-1], _DTYPES[last.datatype])
    else:
        values = np.asarray(last.contents.fp32_contents or last.contents.fp64_contents, np.float64)
    if rows == 0 or len(values) == 0 or len(values) % rows:
        raise Invalid.field("outputs", f"{last.name!r} holds {len(values)} numbers for {rows} rows")
    return values.reshape(rows, -1)[:, -1].astype(np.float64)
