"""The chart, and what it renders to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart

REPOSITORY = Path(__file__).parents[3]
Manifest = dict[str, Any]


class Rendered:
    """Manifests as Kubernetes would get them, found by kind and name."""

    def __init__(self, files: dict[str, str]) -> None:
        self.notes = next(text for path, text in files.items() if path.endswith("NOTES.txt"))
        texts = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
        self.manifests: list[Manifest] = [m for text in texts for m in yaml.safe_load_all(text) if m]

    def of_kind(self, kind: str) -> dict[str, Manifest]:
        """Manifests of a kind, by name."""
        return {m["metadata"]["name"]: m for m in self.manifests if m["kind"] == kind}

    def container(self, service: str) -> Manifest:
        """The one container of a service of release `modelog`."""
        (only,) = self.pod(service)["containers"]
        return dict(only)

    def pod(self, service: str) -> Manifest:
        return dict(self.of_kind("Deployment")[f"modelog-{service}"]["spec"]["template"]["spec"])

    def settings(self, service: str) -> dict[str, str]:
        return dict(self.of_kind("ConfigMap")[f"modelog-{service}"]["data"])


class ModelogChart:
    """The chart under deploy/helm, rendered as release `modelog` in namespace `ml`."""

    path = REPOSITORY / "deploy/helm/modelog"

    def __init__(self, chart: Chart) -> None:
        self._chart = chart

    def render(self, values: dict[str, Any] | None = None, name: str = "modelog") -> Rendered:
        return Rendered(self._chart.render(values, name=name, namespace="ml"))


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def chart() -> Iterator[ModelogChart]:
    with Chart.load(ModelogChart.path) as loaded:
        yield ModelogChart(loaded)


@pytest.fixture(scope="session")
def on_sqlite(chart: ModelogChart) -> Rendered:
    """The chart as it comes."""
    return chart.render()


@pytest.fixture(scope="session")
def on_postgresql(chart: ModelogChart) -> Rendered:
    """Many replicas, and servers for all that there are adapters for."""
    autoscaling = {"minReplicas": 2, "maxReplicas": 6, "cpuPercent": 70}
    return chart.render(
        {
            "global": {
                "events": {"store": "postgresql", "postgresql": {"secret": "modelog-events", "key": "url"}},
                "tables": {"secret": "modelog-tables", "key": "url"},
                "series": {"url": "influxdb://influxdb:8086/modelog/modelog", "secret": "influx", "key": "token"},
                "curves": {"url": "influxdb://influxdb:8086/modelog/runs"},
                "search": {"url": "elasticsearch://elasticsearch:9200", "secret": "elastic", "key": "apiKey"},
                "eventBus": {"secret": "rabbit", "key": "url"},
                "cache": {"secret": "redis", "key": "url"},
                "blobs": {"url": "s3://models", "credentials": "modelog-s3"},
                "otlp": {"endpoint": "http://collector:4318"},
                "image": {"repository": "registry.example.com:5000/modelog", "pullSecrets": ["pull"]},
                "networkPolicy": {
                    "grpcClients": [{"namespaceSelector": {"matchLabels": {"team": "streams"}}}],
                    "httpClients": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
                },
            },
            "serving": {
                "autoscaling": autoscaling,
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "serving", "operator": "Exists"}],
                "accountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"},
            },
            "gateway": {"replicas": 3},
        }
    )
