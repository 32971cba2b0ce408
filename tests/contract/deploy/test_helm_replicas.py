"""The chart with deployments as pods of their own: rights for serving alone, and a pod is serving's without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from helm_python import HelmRenderError
from modelog_common.config import Settings
from modelog_serving.kubernetes.pods import pod_of, template_of
from modelog_serving.kubernetes.settings import load_kubernetes_settings
from modelog_serving.settings import load_serving_settings

ON_SERVERS = {
    "events": {"store": "postgresql", "postgresql": {"secret": "events", "key": "url"}},
    "blobs": {"url": "s3://models"},
    "curves": {"url": "influxdb://influxdb:8086/modelog/runs"},
}
KUBERNETES = {
    "variants": "apart", "replicas": 2, "scaler": "keda", "prometheus": "http://prometheus:9090",
    "activationQuery": 'sum(requests{host=~"{name}.*"})', "gateway": "edge/main", "domain": "models.example.org",
}  # fmt: skip


@pytest.fixture(scope="module")
def with_pods(chart: Any) -> Any:
    return chart.render({"global": ON_SERVERS, "serving": {"kubernetes": KUBERNETES}})


def test_every_manifest_is_valid(with_pods: Any) -> None:
    for manifest in with_pods.manifests:
        kubernetes_validate.validate(manifest, "1.25", strict=True)


def test_serving_alone_has_rights(with_pods: Any) -> None:
    assert set(with_pods.of_kind("Role")) == {"modelog-serving"}
    (subject,) = with_pods.of_kind("RoleBinding")["modelog-serving"]["subjects"]
    assert (subject["name"], subject["namespace"]) == ("modelog-serving", "ml")
    assert with_pods.pod("serving")["automountServiceAccountToken"] is True
    assert with_pods.pod("registry")["automountServiceAccountToken"] is False


def test_serving_can_read_its_settings(with_pods: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in with_pods.settings("serving").items():
        if name.startswith(("MODELOG_SERVING_", "MODELOG_KUBERNETES_")):
            monkeypatch.setenv(name, value)
    assert load_serving_settings().replicas == "kubernetes"
    read = load_kubernetes_settings()
    assert (read.namespace, read.installation) == ("ml", "modelog")
    assert (read.variants, read.replicas, read.scaler, read.gateway) == ("apart", 2, "keda", "edge/main")
    assert read.activation_query == KUBERNETES["activationQuery"]
    mounts = {m["name"]: m["mountPath"] for m in with_pods.container("serving")["volumeMounts"]}
    assert str(read.pod_file) == f"{mounts['replica']}/pod.json"


def test_a_pod_is_servings_own_without_the_rights(
    with_pods: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pod.json"
    file.write_text(with_pods.of_kind("ConfigMap")["modelog-serving-replica"]["data"]["pod.json"])
    monkeypatch.setenv("MODELOG_KUBERNETES_POD_FILE", str(file))
    pod = pod_of(template_of(load_kubernetes_settings(), Settings(data_dir=tmp_path)), "acme/flights")
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == with_pods.pod("serving")["securityContext"]
    (container,) = pod["containers"]
    assert container["image"] == with_pods.container("serving")["image"]
    assert container["envFrom"] == with_pods.container("serving")["envFrom"]
    secrets = {entry["name"]: entry["valueFrom"] for entry in container["env"] if "valueFrom" in entry}
    assert secrets["MODELOG_EVENT_STORE"]["secretKeyRef"] == {"name": "events", "key": "url"}
    assert {"name": "MODELOG_SERVING_ONLY", "value": "acme/flights"} in container["env"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": "http"}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(volumes) == {"data", "tmp", "identity"}
    assert volumes["data"]["emptyDir"] == {}
    named = {"name": "x", "labels": {"a": "b"}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named, "spec": spec}
    kubernetes_validate.validate(json.loads(json.dumps(deployment)), "1.25", strict=True)


def test_pods_cannot_follow_a_file(chart: Any) -> None:
    with pytest.raises(HelmRenderError, match="serving.kubernetes is set; it is not allowed while"):
        chart.render({"serving": {"kubernetes": {"variants": "together"}}})
