"""An unmodified Open Inference Protocol client, in a process of its own: its contracts and ours do not go into one."""

from __future__ import annotations

import json
import struct
import sys

import grpc
from open_inference.grpc.protocol import (
    ModelInferRequest,
    ModelMetadataRequest,
    ModelReadyRequest,
    ServerLiveRequest,
    ServerMetadataRequest,
    ServerReadyRequest,
)
from open_inference.grpc.service import GRPCInferenceServiceStub


def main(address: str, token: str, name: str, rows: list[list[float]]) -> dict[str, object]:
    metadata = (("authorization", f"Bearer {token}"),)
    flat = [value for row in rows for value in row]
    tensor = {"name": "features", "datatype": "FP32", "shape": [len(rows), len(rows[0])]}
    with grpc.insecure_channel(address) as channel:
        client = GRPCInferenceServiceStub(channel)
        asked = ModelInferRequest(
            model_name=name,
            id="42",
            inputs=[{**tensor, "contents": {"fp32_contents": flat}}],
            outputs=[{"name": "late"}],
        )
        answered = client.ModelInfer(asked, metadata=metadata)
        raw = ModelInferRequest(
            model_name=name, inputs=[tensor], raw_input_contents=[struct.pack(f"<{len(flat)}f", *flat)]
        )
        answered_raw = client.ModelInfer(raw, metadata=metadata)
        described = client.ModelMetadata(ModelMetadataRequest(name=name), metadata=metadata)
        try:
            asked.model_name = "none"
            client.ModelInfer(asked, metadata=metadata)
            refused = "nothing"
        except grpc.RpcError as error:
            refused = f"{error.code().name} {error.details()}"
        return {
            "live": client.ServerLive(ServerLiveRequest()).live,
            "ready": client.ServerReady(ServerReadyRequest()).ready,
            "server": client.ServerMetadata(ServerMetadataRequest()).name,
            "model_ready": client.ModelReady(ModelReadyRequest(name=name), metadata=metadata).ready,
            "inputs": [[t.name, t.datatype, list(t.shape)] for t in described.inputs],
            "outputs": [[t.name, t.datatype, list(t.shape)] for t in described.outputs],
            "versions": list(described.versions),
            "id": answered.id,
            "version": answered.model_version,
            "parameters": {key: value.string_param for key, value in answered.parameters.items()},
            "answers": list(answered.outputs[0].contents.fp32_contents),
            "raw": list(struct.unpack(f"<{len(rows)}f", answered_raw.raw_output_contents[0])),
            "refused": refused,
        }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4], json.loads(sys.argv[4]))))
