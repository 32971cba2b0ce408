"""What a deployment is made into for Kubernetes, for KEDA, for the Gateway API and for KServe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from modelog_common.config import Settings
from modelog_common.domain.errors import Invalid
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.state import Deployment, Variant
from modelog_serving.kubernetes import compare
from modelog_serving.kubernetes.kserve import inference_service
from modelog_serving.kubernetes.names import MANAGED_BY, label_of, name_of
from modelog_serving.kubernetes.objects import objects
from modelog_serving.kubernetes.pods import template_of
from modelog_serving.kubernetes.settings import KubernetesSettings, load_kubernetes_settings
from modelog_serving.routing.only import Only

FLIGHTS = Deployment(
    "0b1e", "Flights_v2", "flight-delay", "dev", "running",
    variants=(Variant("1.0.0", 99.5, "a" * 64, "xgboost"), Variant("1.1.0", 0.5, "b" * 64, "xgboost")),
)  # fmt: skip
SCALED = Scaling(2, 9, target_concurrency=2.5, target_latency_ms=40, scale_to_zero=True, idle_s=120)
APART = {"variants": "apart", "gateway": "edge/main", "domain": "models.example.org"}
KEDA = {"scaler": "keda", "prometheus": "http://prometheus:9090"}


def made(tmp_path: Path, deployment: Deployment = FLIGHTS, **settings: Any) -> dict[tuple[str, str], Any]:
    told = KubernetesSettings(**settings)
    template = template_of(told, Settings(data_dir=tmp_path, otlp_endpoint="http://collector:4318"))
    return {(o["kind"], o["metadata"]["name"]): o for o in objects("acme", deployment, template, told)}


def scaled(scaling: Scaling = SCALED) -> Deployment:
    import dataclasses

    return dataclasses.replace(FLIGHTS, scaling=scaling)


def test_names_are_dns_names_of_their_own() -> None:
    name = name_of(FLIGHTS)
    assert name.startswith("serve-flights-v2-")
    assert len({name, name_of(FLIGHTS, "1.0.0"), name_of(FLIGHTS, "1.1.0")}) == 3
    long = name_of(Deployment("x", "A" * 200))
    assert len(long) <= 46
    assert long == long.lower()
    assert label_of("1.0.0+build.7") == "1.0.0_build.7"


def test_all_versions_run_in_the_same_pods_by_default(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert [kind for kind, _ in found] == ["Deployment", "Service", "PodDisruptionBudget"]
    pod = found["Deployment", name_of(FLIGHTS)]["spec"]["template"]["spec"]
    env = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    assert env["MODELOG_SERVING_ONLY"] == "acme/Flights_v2"
    assert env["MODELOG_OTLP_ENDPOINT"] == "http://collector:4318"
    assert "MODELOG_EVENT_STORE" not in env, "it holds a password: it comes from a Secret"


def test_versions_apart_get_traffic_by_weight_and_are_asked_by_name(tmp_path: Path) -> None:
    found = made(tmp_path, **APART)
    first, second = name_of(FLIGHTS, "1.0.0"), name_of(FLIGHTS, "1.1.0")
    assert {name for kind, name in found if kind == "Deployment"} == {first, second}
    env = found["Deployment", second]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "MODELOG_SERVING_ONLY", "value": "acme/Flights_v2@1.1.0"} in env
    route = found["HTTPRoute", name_of(FLIGHTS)]["spec"]
    assert route["hostnames"] == [f"{name_of(FLIGHTS)}.models.example.org"]
    assert route["parentRefs"] == [{"namespace": "edge", "name": "main"}]
    *by_version, rest = route["rules"]
    assert [(b["name"], b["weight"]) for b in rest["backendRefs"]] == [(first, 9950), (second, 50)]
    assert by_version[1]["matches"][0]["path"]["value"] == "/v2/models/Flights_v2/versions/1.1.0"
    assert by_version[1]["backendRefs"][0]["name"] == second
    (grpc,) = found["GRPCRoute", name_of(FLIGHTS)]["spec"]["rules"]
    assert [b["port"] for b in grpc["backendRefs"]] == [8091, 8091]


def test_an_autoscaler_has_what_was_set(tmp_path: Path) -> None:
    spec = made(tmp_path, scaled())["HorizontalPodAutoscaler", name_of(FLIGHTS)]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 9)
    metrics = [m["pods"]["target"]["averageValue"] for m in spec["metrics"] if m["type"] == "Pods"]
    assert metrics == ["2500m", "40"]
    assert "replicas" not in made(tmp_path, scaled())["Deployment", name_of(FLIGHTS)]["spec"]


def test_keda_scales_to_zero_only_where_something_else_sees_requests(tmp_path: Path) -> None:
    spec = made(tmp_path, scaled(), **KEDA)["ScaledObject", name_of(FLIGHTS)]["spec"]
    assert spec["minReplicaCount"] == 2
    query = 'sum(rate(gateway_requests{host=~"{name}.*"}[1m]))'
    spec = made(tmp_path, scaled(), activation_query=query, **KEDA)["ScaledObject", name_of(FLIGHTS)]["spec"]
    assert (spec["minReplicaCount"], spec["cooldownPeriod"]) == (0, 120)
    assert name_of(FLIGHTS) in spec["triggers"][-1]["metadata"]["query"]
    assert [t["metadata"]["threshold"] for t in spec["triggers"]] == ["2.5", "40", "2.5"]


def test_kserve_gets_our_process_as_its_predictor(tmp_path: Path) -> None:
    told = KubernetesSettings(image="modelog/serving:7")
    template = template_of(told, Settings(data_dir=tmp_path))
    service = inference_service("acme", scaled(), template, told)
    predictor = service["spec"]["predictor"]
    (container,) = predictor["containers"]
    assert (container["name"], container["image"]) == ("kserve-container", "modelog/serving:7")
    assert [port["containerPort"] for port in container["ports"]] == [8090]
    assert (predictor["minReplicas"], predictor["maxReplicas"], predictor["scaleTarget"]) == (0, 9, 2)
    assert MANAGED_BY not in service["metadata"]["labels"], "serving would take it for its own, and delete it"


def test_pods_of_a_deployment_ask_for_its_gpus_and_compute_there(tmp_path: Path) -> None:
    from_file = tmp_path / "pod.json"
    env = [{"name": "MODELOG_SERVING_TORCH_DEVICE", "value": "cpu"}]
    limits = {"memory": "8Gi"}
    container = {"name": "serving", "image": "a:1", "env": env, "resources": {"limits": limits}}
    from_file.write_text(json.dumps({"containers": [container]}))
    for gpus, device, asked in ((0, "cpu", limits), (2, "cuda", {**limits, "nvidia.com/gpu": "2"})):
        deployment = scaled(Scaling(gpus=gpus))
        pod = made(tmp_path, deployment, pod_file=from_file)["Deployment", name_of(FLIGHTS)]["spec"]["template"]["spec"]
        told = KubernetesSettings(pod_file=from_file)
        template = template_of(told, Settings(data_dir=tmp_path))
        predictor = inference_service("acme", deployment, template, told)["spec"]["predictor"]
        for (seen,) in (pod["containers"], predictor["containers"]):
            assert seen["resources"]["limits"] == asked
            set_to = [entry["value"] for entry in seen["env"] if entry["name"] == "MODELOG_SERVING_TORCH_DEVICE"]
            assert set_to == [device]
    assert "nvidia.com/gpu" not in json.dumps(list(map(str, made(tmp_path).values())))


def test_a_pod_starts_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pod.json"
    file.write_text(
        json.dumps({"containers": [{"name": "serving", "image": "a:1", "env": []}], "nodeSelector": {"gpu": "1"}})
    )
    pod = made(tmp_path, pod_file=file)["Deployment", name_of(FLIGHTS)]["spec"]["template"]["spec"]
    assert (pod["containers"][0]["image"], pod["nodeSelector"]) == ("a:1", {"gpu": "1"})
    file.write_text("{}")
    with pytest.raises(Invalid, match="MODELOG_KUBERNETES_POD_FILE: .* has no containers"):
        made(tmp_path, pod_file=file)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("API", "kubernetes.example.org", 'MODELOG_KUBERNETES_API is "kubernetes.example.org"'),
        ("SCALER", "keda", "MODELOG_KUBERNETES_PROMETHEUS is not set; with MODELOG_KUBERNETES_SCALER=keda"),
        ("GATEWAY", "edge/main", "MODELOG_KUBERNETES_DOMAIN is not set beside MODELOG_KUBERNETES_GATEWAY"),
        ("ENV_FROM", "platform", 'MODELOG_KUBERNETES_ENV_FROM is "platform"'),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(f"MODELOG_KUBERNETES_{name}", value)
    with pytest.raises(Invalid) as refused:
        load_kubernetes_settings()
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("live", "wanted", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"env": [{"name": "x", "value": "1"}, {"name": "theirs"}]}, {"env": [{"name": "x", "value": "1"}]}, True),
        ({"env": [{"name": "x", "value": "2"}]}, {"env": [{"name": "x", "value": "1"}]}, False),
        ({"rules": [{"w": 1}, {"w": 2}]}, {"rules": [{"w": 1}]}, False),
        (None, {"a": 1}, False),
    ],
)
def test_what_others_add_does_not_count(live: Any, wanted: Any, *, same: bool) -> None:
    assert compare.holds(live, wanted) is same


def test_one_version_gets_all_keys_of_its_process() -> None:
    only = Only.parse("acme/Flights_v2@1.1.0")
    narrowed = only.narrowed(FLIGHTS)
    assert narrowed is not None
    assert [(v.version, v.percent) for v in narrowed.variants] == [("1.1.0", 100.0)]
    assert [(s.start, s.end, s.version) for s in narrowed.segments] == [(0, 1_000_000, "1.1.0")]
    assert Only.parse("acme/Flights_v2@9.9.9").narrowed(FLIGHTS) is None
    assert Only.parse("acme/Flights_v2").narrowed(FLIGHTS) is FLIGHTS
