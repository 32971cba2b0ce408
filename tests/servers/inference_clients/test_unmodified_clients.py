"""Clients of the inference protocol that others made are answered as they are, each in its own environment."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from clients_of_the_protocol import PROGRAMS, environment
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import Caller

sys.path.insert(0, str(Path(__file__).parents[1] / "mlflow_clients"))
from clients import client

pytestmark = pytest.mark.asyncio(loop_scope="session")
OIP_CLIENT = Path(__file__).parents[2] / "integration" / "serving" / "oip_client.py"
OFFICIAL = "mlserver/rest/openapi"
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,response_headers_conformance"
# Of text models, which MLServer's file has besides the protocol.
OTHERS = ("_stream", "/generate")


async def test_triton(given: str) -> None:
    await environment("tritonclient").python(PROGRAMS / "triton.py", given)


async def test_open_inference_openapi(given: str) -> None:
    await environment("open-inference").python(PROGRAMS / "open_inference_rest.py", given)


async def test_open_inference_grpc(deployed: dict[str, Any]) -> None:
    given = [deployed[name] for name in ("grpc", "token", "name")]
    told = json.loads(await environment("open-inference").python(OIP_CLIENT, *given, json.dumps(deployed["rows"])))
    expected = [pytest.approx(value, abs=1e-6) for value in deployed["expected"]]
    assert told["answers"] == told["raw"] == expected
    assert told["refused"].startswith("NOT_FOUND")


async def test_kserve(given: str) -> None:
    await environment("kserve").python(PROGRAMS / "kserve_sdk.py", given)


async def test_an_exported_inference_service_is_one_by_kserves_own_definition(caller: Caller) -> None:
    """Each field is known to the classes of its SDK, which are made of that definition, and is of its type there."""
    scaling = pb.Scaling(
        min_replicas=2, max_replicas=9, target_concurrency=2.5, target_latency_ms=40, scale_to_zero=True, idle_s=3600
    )
    await caller.deployments.SetScaling(pb.SetScalingRequest(name="flights", scaling=scaling))
    asked = pb.ExportDeploymentRequest(name="flights", format=pb.MANIFEST_FORMAT_KSERVE)
    made = yaml.safe_load((await caller.deployments.ExportDeployment(asked)).manifests)
    program, kserve = PROGRAMS / "kserve_manifest.py", environment("kserve")
    assert "checked" in await kserve.python(program, json.dumps(made))
    made["spec"]["predictor"]["containers"][0]["volumeMount"] = made["spec"]["predictor"].pop("maxReplicas")
    with pytest.raises(AssertionError, match=r"containers\[0\]\.volumeMount is not known to V1Container"):
        await kserve.python(program, json.dumps(made))


async def test_mlflow_scoring(given: str, tmp_path: Path) -> None:
    """The environment is that of MLflow's other clients; its program needs no tracking server."""
    program = str(PROGRAMS / "mlflow_scoring")
    await asyncio.to_thread(client("3.17.2").run, program, tmp_path, "", "", given)


@pytest.mark.parametrize(
    ("file", "checks"), [("dataplane", f"{CHECKS},status_code_conformance"), ("model_repository", CHECKS)]
)
async def test_schemathesis_over_the_specification(
    deployed: dict[str, Any], tmp_path: Path, file: str, checks: str
) -> None:
    """The OpenAPI files of the protocol and of its extension, as MLServer ships them.

    Of the repository's calls the file names no statuses of refusals.
    """
    schemathesis = environment("schemathesis")
    text = schemathesis.file(f"{OFFICIAL}/{file}.json").read_text()
    # No type that OpenAPI knows.
    specification = json.loads(text.replace('"type": "bytes"', '"type": "string"'))
    paths = specification["paths"]
    specification["paths"] = {path: paths[path] for path in paths if not any(other in path for other in OTHERS)}
    (tmp_path / "specification.json").write_text(json.dumps(specification))
    (tmp_path / "schemathesis.toml").write_text(
        f'[parameters]\n"path.model_name" = "{deployed["name"]}"\n"path.model_version" = "1.0.0"\n'
    )
    told = await schemathesis.run(
        "schemathesis", "run", "specification.json", "--url", deployed["http"], "--generation-deterministic",
        "--header", f"Authorization: Bearer {deployed['token']}", "--phases", "coverage,fuzzing",
        "--max-examples", "15", "--suppress-health-check", "all", "--request-timeout", "150", "--checks", checks,
        folder=tmp_path,
    )  # fmt: skip
    assert "Test cases:" in told
