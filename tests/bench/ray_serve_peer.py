"""Ray Serve as a peer of the gRPC bench: its gRPC proxy in front of one replica with the XGBoost model, from an
environment of its own (`python bench_ray_serve.py --install`).

It is asked by the Open Inference Protocol's ModelInfer, so that h2load posts the same bytes to both. All of Ray, its
head and its proxy too, runs on the server's core, and its CPU is counted together.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from modelog_platform.parts.ports import free_port
from rest_peers import end, plain, python_of

NAME = "rayserve"
REQUIREMENTS = ("ray[serve]==2.60.0", "xgboost-cpu==3.2.0", "numpy==2.4.6", "protobuf==7.36.2")
START_S = 300
CONTRACTS = Path(__file__).parents[2] / "proto" / "gen" / "modelog_proto" / "inference"
SERVE = """
import sys, threading
import numpy, ray, xgboost
from inference import grpc_predict_v2_pb2 as oip
from ray import serve
from ray.serve.config import gRPCOptions

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]

@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Flights:
    def __init__(self):
        self.booster = xgboost.Booster(model_file="model.ubj")
        self.booster.set_param("nthread", 1)

    async def ModelInfer(self, request):
        tensor = request.inputs[0]
        rows = numpy.frombuffer(request.raw_input_contents[0], "<f4").reshape(tuple(tensor.shape))
        answers = self.booster.inplace_predict(rows, validate_features=False).astype("<f4")
        return oip.ModelInferResponse(
            model_name=request.model_name,
            outputs=[{"name": "late", "datatype": "FP32", "shape": [len(answers)]}],
            raw_output_contents=[answers.tobytes()],
        )

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=FOLDER, object_store_memory=80_000_000)
serving = "inference.grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server"
serve.start(grpc_options=gRPCOptions(port=PORT, grpc_servicer_functions=[serving]))
serve.run(Flights.bind(), name="flights", route_prefix="/")
print("serving", flush=True)
threading.Event().wait()
"""


@contextmanager
def serving(model: bytes, folder: Path, pinned: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The address of its gRPC proxy, and the process that all of it belongs to, on the cores that `pinned` gives."""
    folder.mkdir()
    (folder / "model.ubj").write_bytes(model)
    (folder / "serve.py").write_text(SERVE)
    # Ray pickles messages, by the name that their contract gives their module.
    (folder / "inference").mkdir()
    for file in CONTRACTS.glob("grpc_predict_v2_pb2*.py"):
        (folder / "inference" / file.name).write_text(file.read_text().replace("modelog_proto.inference", "inference"))
    port, python = free_port(), python_of(NAME)
    environment = plain(python) | {
        "PYTHONPATH": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": str(START_S),
    }
    # Ray's sockets need a short name.
    with TemporaryDirectory(prefix="ray-", dir="/tmp") as sockets, (folder / "log").open("wb") as log:
        command = [*pinned, python, "serve.py", str(port), sockets]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "serving":
                raise SystemExit(f"Ray Serve did not start: {(folder / 'log').read_text()[-4000:]}")
            yield f"127.0.0.1:{port}", process.pid
        finally:
            end(process)
