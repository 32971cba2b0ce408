"""Through the platform's own interface: a deployment becomes pods, and a pod answers for it and for no other."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from cluster import READY, Cluster
from modelog_common.domain.errors import Invalid, ModelogError, NotFound
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_serving.kubernetes.kinds import AUTOSCALER, DEPLOYMENT
from modelog_serving.kubernetes.settings import PREFIX
from real_servers import PostgresServer

sys.path.append(str(Path(__file__).parents[2] / "integration" / "serving"))

from serving_rig import Caller, Process, Rig, answers_of, model_file, registry_of, serving_of

ROW = np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)


@pytest.fixture
async def rig(
    cluster: Cluster, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    """Serving and a registry on one log in PostgreSQL, and replicas in a namespace."""
    monkeypatch.setenv("MODELOG_SERVING_REPLICAS", "kubernetes")
    told = {
        "API": cluster.server.url,
        "NAMESPACE": cluster.namespace,
        "TOKEN_FILE": str(cluster.server.token_file),
        "CA_FILE": str(cluster.server.authority),
        "RESYNC_S": "0.2",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    made = Rig(tmp_path, log=postgres.create_database())
    async with registry_of(made), serving_of(made):
        yield made


async def until_ready(alice: Caller, cluster: Cluster, ready: int) -> pb.Deployment:
    async def told() -> bool:
        return (await alice.deployment()).replicas.ready == ready

    await cluster.until(told, f"{ready} replicas are told to be ready")
    return await alice.deployment()


async def test_a_deployment_made_through_the_api_is_pods_and_its_status_follows_them(
    rig: Rig, cluster: Cluster
) -> None:
    alice = rig.caller()
    made = await alice.deploy()
    await cluster.pods(1)

    async def pending() -> bool:
        return (await alice.deployment()).status == pb.DEPLOYMENT_STATUS_PENDING

    await cluster.until(pending, "the deployment waits for its pods")
    cluster.say_of_pods(READY)
    found = await until_ready(alice, cluster, 1)
    assert (found.status, found.replicas.backend, found.replicas.wanted) == (
        pb.DEPLOYMENT_STATUS_RUNNING,
        "kubernetes",
        1,
    )
    listed = await alice.deployments.ListDeployments(pb.ListDeploymentsRequest())
    assert listed.deployments[0].replicas == found.replicas
    assert not (await alice.deployment(as_of=str(made.position))).HasField("replicas")
    scaling = pb.Scaling(min_replicas=2, max_replicas=5, target_concurrency=3)
    scaled = await alice.deployments.SetScaling(pb.SetScalingRequest(name="flights", scaling=scaling))
    assert (scaled.scaling.max_replicas, scaled.scaling.down_cooldown_s) == (5, 300)
    await cluster.until(lambda: len(cluster.every(AUTOSCALER)) == 1, "there is an autoscaler")
    await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights"))
    await cluster.until(lambda: not cluster.every(DEPLOYMENT) and not cluster.every(AUTOSCALER), "nothing is left")
    assert not (await alice.deployment()).HasField("replicas")


async def test_what_a_pod_runs_answers_for_its_deployment_only(rig: Rig, cluster: Cluster) -> None:
    """The process gets exactly the variable that the pod has, and a data directory of its own."""
    alice = rig.caller()
    await alice.deploy()
    await alice.deploy(name="others")
    await cluster.pods(2)
    container = next(
        pod["spec"]["template"]["spec"]["containers"][0]
        for name, pod in cluster.every(DEPLOYMENT).items()
        if name.startswith("serve-flights-")
    )
    only = next(entry for entry in container["env"] if entry["name"] == "MODELOG_SERVING_ONLY")
    pod = Pod(rig)
    pod.environment_of_pod = {only["name"]: only["value"], "MODELOG_SERVING_REPLICAS": "local"}
    await pod.start()
    try:
        caller = rig.caller()

        async def ready() -> bool:
            return bool((await caller.inference.ServerReady(oip.ServerReadyRequest())).ready)

        await cluster.until(ready, "the pod is ready")
        asked = oip.ModelInferRequest(
            model_name="flights",
            inputs=[{"name": "features", "datatype": "FP32", "shape": [1, 4]}],
            raw_input_contents=[ROW.tobytes()],
        )
        answer = await caller.inference.ModelInfer(asked)
        assert answer.raw_output_contents[0] == answers_of(model_file(0), ROW).tobytes()
        asked.model_name = "others"
        with pytest.raises(NotFound, match="there is no model or deployment 'others'"):
            await caller.inference.ModelInfer(asked)
        with pytest.raises(ModelogError):
            await caller.deployments.GetDeployment(pb.GetDeploymentRequest(name="flights"))
        # It follows the log: what is decided elsewhere holds here.
        await alice.split(v1_1_0=100)
        asked.model_name = "flights"

        async def switched() -> bool:
            told = await caller.inference.ModelInfer(asked)
            return bool(told.parameters["version"].string_param == "1.1.0")

        await cluster.until(switched, "the new split holds in the pod")
    finally:
        pod.terminate()


class Pod(Process):
    """A serving process beside the one that decides, as a pod is: same log, its own files and ports."""

    environment_of_pod: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        own = self._rig.folder / "pod"
        return super().environment | {"MODELOG_DATA_DIR": str(own)} | self.environment_of_pod


async def test_a_log_in_a_file_is_refused(rig: Rig, tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path / 'other' / 'events.db'}"
    with pytest.raises(Invalid, match="MODELOG_EVENT_STORE: is a file, which pods cannot follow"):
        async with serving_of(rig, event_store=file, data_dir=tmp_path / "other"):
            pytest.fail("it serves")


async def test_exports_are_what_the_api_server_takes(rig: Rig, cluster: Cluster) -> None:
    alice = rig.caller()
    await alice.deploy()
    asked = pb.ExportDeploymentRequest(name="flights", format=pb.MANIFEST_FORMAT_KUBERNETES)
    exported = await alice.deployments.ExportDeployment(asked)
    made = list(yaml.safe_load_all(exported.manifests))
    assert [one["kind"] for one in made] == ["Deployment", "Service", "PodDisruptionBudget"]
    asked.format = pb.MANIFEST_FORMAT_KSERVE
    (service,) = yaml.safe_load_all((await alice.deployments.ExportDeployment(asked)).manifests)
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    predictor = service["spec"]["predictor"]
    assert predictor["containers"][0]["name"] == "kserve-container"
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 1)
