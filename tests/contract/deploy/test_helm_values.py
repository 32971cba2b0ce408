"""What the chart's values do, and which are refused with a message that names the field."""

from __future__ import annotations

from typing import Any

import pytest
from helm_python import HelmRenderError, HelmValuesError

ON_POSTGRESQL = {"store": "postgresql", "postgresql": {"secret": "events", "key": "url"}}
ON_S3, ON_INFLUXDB = {"url": "s3://models"}, {"url": "influxdb://influxdb:8086/modelog/runs"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"registry": {"replicas": -1}}, "'/registry/replicas': minimum: got -1, want 1"),
        ({"registry": {"replicas": "two"}}, "'/registry/replicas': got string, want integer"),
        ({"registri": {"replicas": 1}}, "additional properties 'registri' not allowed"),
        ({"gateway": {"replica": 2}}, "'/gateway': additional properties 'replica' not allowed"),
        ({"serving": {"ports": {"http": 80}}}, "'/serving/ports/http': minimum: got 80, want 1,024"),
        ({"serving": {"resources": {"limits": {"memory": "lots"}}}}, "'/serving/resources/limits/memory'"),
        ({"training": {"resources": {"limits": None}}}, "'/training/resources': missing property 'limits'"),
        ({"serving": {"autoscaling": {"minReplicas": 2}}}, "missing properties 'maxReplicas', 'cpuPercent'"),
        ({"global": {"log": {"level": "loud"}}}, "must be one of 'debug', 'info', 'warning', 'error'"),
        ({"global": {"events": {"store": "mysql"}}}, "must be one of 'sqlite', 'postgresql'"),
        ({"global": {"kafka": {"bootstrap": "kafka"}}}, "'/global/kafka/bootstrap'"),
        ({"global": {"eventBus": {"url": "redis://redis"}}}, "additional properties 'url' not allowed"),
        ({"global": {"blobs": {"url": "gs://models"}}}, "'/global/blobs/url'"),
        ({"global": {"graph": {"uri": "http://neo4j"}}}, "'/global/graph/uri'"),
        ({"global": {"identity": {"secret": ""}}}, "'/global/identity/secret'"),
        ({"global": {"image": {"tag": "a b"}}}, "'/global/image/tag'"),
    ],
)
def test_a_wrong_value_is_refused(chart: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmValuesError) as refused:
        chart.render(values)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"serving": {"replicas": 3}}, "serving.replicas is 3; allowed is 1 while global.events.store is sqlite"),
        (
            {"serving": {"autoscaling": {"minReplicas": 1, "maxReplicas": 2, "cpuPercent": 70}}},
            "serving.autoscaling is set; it is not allowed while global.events.store is sqlite",
        ),
        ({"global": {"events": {"store": "postgresql"}}}, "global.events.postgresql.secret is empty"),
        ({"global": {"events": ON_POSTGRESQL}}, "global.blobs.url is file:///data/blobs"),
        ({"global": {"events": ON_POSTGRESQL, "blobs": ON_S3}}, "global.curves.url is empty; with global.events.store"),
        (
            {"global": {"events": ON_POSTGRESQL, "blobs": ON_S3, "curves": ON_INFLUXDB}, "registry": {"replicas": 2}},
            "registry has replicas or autoscaling; allowed is one replica",
        ),
    ],
)
def test_values_that_exclude_each_other_are_refused(chart: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmRenderError) as refused:
        chart.render(values)

    assert message in str(refused.value)


def test_with_sqlite_all_pods_share_one_disk_on_one_node(on_sqlite: Any) -> None:
    (claim,) = on_sqlite.of_kind("PersistentVolumeClaim").values()
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"

    for deployment in on_sqlite.of_kind("Deployment").values():
        spec = deployment["spec"]["template"]["spec"]
        (rule,) = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        data = {v["name"]: v for v in spec["volumes"]}["data"]

        assert data["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
        assert rule["topologyKey"] == "kubernetes.io/hostname"
        # A pod matches its own rule, without which the first one would never be placed.
        assert labels.items() >= rule["labelSelector"]["matchLabels"].items()
        assert deployment["spec"]["replicas"] == 1
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_with_postgresql_pods_are_free(on_postgresql: Any) -> None:
    deployments = on_postgresql.of_kind("Deployment")

    assert on_postgresql.of_kind("PersistentVolumeClaim") == {}
    assert deployments["modelog-gateway"]["spec"]["replicas"] == 3
    assert "affinity" not in on_postgresql.pod("gateway")
    assert deployments["modelog-gateway"]["spec"]["strategy"]["type"] == "RollingUpdate"
    # One process at a time numbers the batches of metrics.
    assert deployments["modelog-registry"]["spec"]["strategy"] == {"type": "Recreate"}
    # The autoscaler owns the number of replicas.
    assert "replicas" not in deployments["modelog-serving"]["spec"]


def test_the_autoscaler_is_for_its_deployment(on_postgresql: Any) -> None:
    spec = on_postgresql.of_kind("HorizontalPodAutoscaler")["modelog-serving"]["spec"]

    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "modelog-serving"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 6)


@pytest.mark.parametrize("mutual", [True, False])
def test_with_a_certificate_services_speak_tls_and_are_probed_over_it(chart: Any, mutual: bool) -> None:
    rendered = chart.render({"global": {"tls": {"secret": "modelog-tls", "mutual": mutual}}})

    for service in ("gateway", "registry", "serving"):
        settings, container = rendered.settings(service), rendered.container(service)
        files = {name: text for name, text in settings.items() if name.startswith("MODELOG_TLS_")}
        assert set(files) == {"MODELOG_TLS_CERTIFICATE_FILE", "MODELOG_TLS_KEY_FILE"} | (
            {"MODELOG_TLS_AUTHORITY_FILE"} if mutual else set()
        )
        (mount,) = [m for m in container["volumeMounts"] if m["name"] == "tls"]
        assert {path.rpartition("/")[0] for path in files.values()} == {mount["mountPath"]}
        (volume,) = [v for v in rendered.pod(service)["volumes"] if v["name"] == "tls"]
        assert volume["secret"]["secretName"] == "modelog-tls"
        probe = container["livenessProbe"]
        if service == "gateway":
            assert probe["httpGet"] == {"path": "/healthz", "port": "http", "scheme": "HTTPS"}
        else:
            assert probe["exec"] == {"command": ["python", "-m", "modelog_common.rpc.probe"]}


def test_notes_say_where_everything_is(on_sqlite: Any, on_postgresql: Any) -> None:
    assert "global.events.store=postgresql\nlifts this" in on_sqlite.notes
    assert "Events are kept in PostgreSQL, blobs in s3://models." in on_postgresql.notes
    assert "Read tables are in the database that Secret modelog-tables names." in on_postgresql.notes


def test_what_is_turned_off_is_not_there(chart: Any) -> None:
    rendered = chart.render(
        {"global": {"networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}}}
    )

    assert rendered.of_kind("NetworkPolicy") == {}
    assert rendered.of_kind("PodDisruptionBudget") == {}


def test_a_service_takes_what_it_is_given(on_postgresql: Any) -> None:
    pod = on_postgresql.pod("serving")
    rules = on_postgresql.of_kind("NetworkPolicy")["modelog-serving"]["spec"]["ingress"]

    assert on_postgresql.container("serving")["image"] == "registry.example.com:5000/modelog/serving:0.1.0"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"key": "serving", "operator": "Exists"}]
    assert on_postgresql.settings("serving")["MODELOG_OTLP_ENDPOINT"] == "http://collector:4318"
    account = on_postgresql.of_kind("ServiceAccount")["modelog-serving"]
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}
    assert {"namespaceSelector": {"matchLabels": {"team": "streams"}}} in rules[0]["from"]
    assert rules[1]["from"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def test_a_change_of_settings_starts_new_pods(chart: Any, on_sqlite: Any) -> None:
    def mark(rendered: Any) -> str:
        template = rendered.of_kind("Deployment")["modelog-registry"]["spec"]["template"]
        return str(template["metadata"]["annotations"]["modelog/settings"])

    assert mark(chart.render({"global": {"log": {"level": "debug"}}})) != mark(on_sqlite)
    assert mark(chart.render({"serving": {"ports": {"http": 9999}}})) == mark(on_sqlite)


def test_the_longest_release_name_makes_names_that_dns_takes(chart: Any) -> None:
    rendered = chart.render(name="r" * 49 + "-23x")

    assert max(len(m["metadata"]["name"]) for m in rendered.manifests) <= 63
    assert "r" * 49 + "-monitoring" in rendered.of_kind("Service")
