"""The Helm chart: lint clean, valid for Kubernetes, and every service safe to run as it says."""

from __future__ import annotations

import json
from typing import Any

import helm_python
import kubernetes_validate
import pytest
from modelog_common.config import PREFIX, Settings, load_settings

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
OLDEST_KUBERNETES = "1.25"
# Settings that a service takes from its environment.
SETTINGS = {PREFIX + name.upper() for name in Settings.fields}
# A secret that a setting names: MODELOG_MASTER_KEY=env://MODELOG_MASTER_KEYS.
NAMED_BY_SETTINGS = {"MODELOG_MASTER_KEYS"}
ONLY_SOME_SERVICES_NEED = {
    "MODELOG_TLS_CERTIFICATE_FILE",
    "MODELOG_TLS_KEY_FILE",
    "MODELOG_TLS_AUTHORITY_FILE",
    "MODELOG_HTTP_PORT",
    "MODELOG_OIP_GRPC_PORT",
    "MODELOG_GRAPH_URI",
    "MODELOG_GRAPH_USER",
    "MODELOG_GRAPH_PASSWORD",
    "MODELOG_SIGNING_KEY_FILE",
    "MODELOG_OTLP_ENDPOINT",
    "MODELOG_MASTER_KEY",
    "MODELOG_KEY_STORE",
    "MODELOG_VAULT_TOKEN_FILE",
    "MODELOG_GRAPH_DATABASE",
    "MODELOG_TABLES",
    "MODELOG_EVENT_BUS",
    "MODELOG_SERIES",
    "MODELOG_CURVES",
    "MODELOG_SERIES_TOKEN",
    "MODELOG_SEARCH",
    "MODELOG_SEARCH_API_KEY",
    "MODELOG_CACHE",
    "MODELOG_WEBHOOK_NETWORKS",
}


@pytest.fixture(params=["on_sqlite", "on_postgresql"])
def rendered(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def environment(rendered: Any, service: str) -> dict[str, Any]:
    """Settings of a service's process: text, or where the secret is."""
    secrets = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in rendered.container(service).get("env", [])}
    return rendered.settings(service) | secrets


def test_the_chart_is_lint_clean(chart: Any) -> None:
    report = helm_python.lint(chart.path, strict=True)

    assert report["errors"] == []
    assert [m for m in report["messages"] if m["error"] != "icon is recommended"] == []


def test_the_chart_has_the_parts_it_names(chart: Any) -> None:
    dependencies = helm_python.dependency_list(chart.path)

    assert {d["name"] for d in dependencies} == {*SERVICES, "modelog-service"}
    assert {d["status"] for d in dependencies} == {"unpacked"}


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
def test_every_manifest_is_valid_for_kubernetes(rendered: Any, version: str) -> None:
    assert rendered.manifests
    for manifest in rendered.manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_validator_would_notice(on_sqlite: Any) -> None:
    deployment = json.loads(json.dumps(on_sqlite.of_kind("Deployment")["modelog-registry"]))
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["gprc"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="gprc"):
        kubernetes_validate.validate(deployment, OLDEST_KUBERNETES, strict=True)


def test_each_service_has_its_objects_and_nothing_else_is_there(on_sqlite: Any, on_postgresql: Any) -> None:
    names = {f"modelog-{service}" for service in SERVICES}
    for kind in ("Deployment", "Service", "ServiceAccount", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"):
        assert set(on_sqlite.of_kind(kind)) == names, kind
    assert set(on_sqlite.of_kind("PersistentVolumeClaim")) == {"modelog-data"}
    assert len(on_sqlite.manifests) == 6 * len(SERVICES) + 1

    assert set(on_postgresql.of_kind("HorizontalPodAutoscaler")) == {"modelog-serving"}
    assert len(on_postgresql.manifests) == 6 * len(SERVICES) + 1


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_probed_limited_and_confined(rendered: Any, service: str) -> None:
    container, pod = rendered.container(service), rendered.pod(service)
    health = {"httpGet": {"path": "/healthz", "port": "http"}} if service == "gateway" else {"grpc": {"port": 9000}}

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe].items() >= health.items(), probe
    for amounts in ("requests", "limits"):
        assert set(container["resources"][amounts]) >= {"cpu", "memory"}, amounts
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_known_settings_only_and_all_it_needs(rendered: Any, service: str) -> None:
    given = set(environment(rendered, service))

    assert given <= SETTINGS | NAMED_BY_SETTINGS
    assert given >= SETTINGS - ONLY_SOME_SERVICES_NEED


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_read_its_settings(on_sqlite: Any, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in on_sqlite.settings(service).items():
        monkeypatch.setenv(name, text)

    settings = load_settings()

    assert str(settings.event_store_path()) == "/data/events.db"
    assert settings.blobs == "file:///data/blobs"
    assert settings.peers["registry"] == "modelog-registry:9000"
    assert settings.drain_s < on_sqlite.pod(service)["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_told_of_the_servers(on_postgresql: Any, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {
        "MODELOG_EVENT_STORE": "postgresql://modelog@postgres/events",
        "MODELOG_TABLES": "mysql://modelog@mariadb/tables",
        "MODELOG_EVENT_BUS": "amqps://modelog:secret@rabbitmq/modelog",
        "MODELOG_CACHE": "rediss://:secret@redis/0",
        "MODELOG_SERIES_TOKEN": "token",
        "MODELOG_SEARCH_API_KEY": "key",
    }
    secrets = {name for name, where in environment(on_postgresql, service).items() if isinstance(where, dict)}
    assert secrets >= set(held)
    for name, text in (on_postgresql.settings(service) | held).items():
        monkeypatch.setenv(name, text)

    settings = load_settings()

    assert settings.event_store == held["MODELOG_EVENT_STORE"]
    assert settings.series == "influxdb://influxdb:8086/modelog/modelog"
    assert settings.curves == "influxdb://influxdb:8086/modelog/runs"
    assert settings.search == "elasticsearch://elasticsearch:9200"
    assert settings.event_bus.get_secret_value() == held["MODELOG_EVENT_BUS"]
    assert settings.cache.get_secret_value() == held["MODELOG_CACHE"]
    assert settings.blobs == "s3://models"
    assert settings.kafka_bootstrap == "kafka:9092"


@pytest.mark.parametrize("service", SERVICES)
def test_kubernetes_adds_no_settings_of_its_own(on_sqlite: Any, service: str) -> None:
    assert on_sqlite.pod(service)["enableServiceLinks"] is False


@pytest.mark.parametrize("service", SERVICES)
def test_every_path_in_the_settings_is_on_a_mounted_volume(on_sqlite: Any, service: str) -> None:
    mounts = {m["name"]: m["mountPath"] for m in on_sqlite.container(service)["volumeMounts"]}
    settings = on_sqlite.settings(service)

    assert {v["name"] for v in on_sqlite.pod(service)["volumes"]} == set(mounts)
    assert settings["MODELOG_DATA_DIR"] == mounts["data"]
    assert settings["MODELOG_EVENT_STORE"].startswith(f"sqlite:///{mounts['data']}/")
    assert settings["MODELOG_BLOBS"].startswith(f"file://{mounts['data']}/")
    identity = {f"{mounts['identity']}/{item['path']}" for item in identity_items(on_sqlite, service)}
    assert identity == {text for name, text in settings.items() if name.endswith("_FILE")}


def test_a_service_sees_its_own_token_and_the_gateway_alone_the_signing_key(on_sqlite: Any) -> None:
    keys = {service: {item["key"] for item in identity_items(on_sqlite, service)} for service in SERVICES}

    assert keys == {
        service: {"public.pem", f"{service}.token"} | ({"signing.pem"} if service == "gateway" else set())
        for service in SERVICES
    }


def test_who_seals_and_opens_alone_is_given_the_master_key(on_sqlite: Any) -> None:
    given = {
        service
        for service in SERVICES
        for one in on_sqlite.container(service).get("env", [])
        if one["valueFrom"]["secretKeyRef"]["key"] == "master.key"
    }
    assert given == {"gateway", "registry", "serving", "monitoring"}
    assert {on_sqlite.settings(service)["MODELOG_MASTER_KEY"] for service in given} == {"env://MODELOG_MASTER_KEYS"}


def identity_items(rendered: Any, service: str) -> list[dict[str, str]]:
    (identity,) = (v for v in rendered.pod(service)["volumes"] if v["name"] == "identity")
    (source,) = identity["projected"]["sources"]
    return list(source["secret"]["items"])


@pytest.mark.parametrize("service", SERVICES)
def test_peers_are_the_services_that_the_chart_makes(rendered: Any, service: str) -> None:
    addresses = {
        name.removeprefix("modelog-"): f"{name}:{port['port']}"
        for name, manifest in rendered.of_kind("Service").items()
        for port in manifest["spec"]["ports"]
        if port["name"] == "grpc"
    }

    assert json.loads(rendered.settings(service)["MODELOG_PEERS"]) == addresses
    assert set(addresses) == set(SERVICES)


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ("registry", {"grpc": 9000}),
        ("serving", {"grpc": 9000, "http": 8090, "oip": 8091}),
        ("gateway", {"grpc": 9000, "http": 8080}),
    ],
)
def test_ports_agree_in_settings_container_service_and_network_policy(
    on_sqlite: Any, service: str, ports: dict[str, int]
) -> None:
    name = f"modelog-{service}"
    settings = on_sqlite.settings(service)
    setting_of = {"grpc": "MODELOG_GRPC_PORT", "http": "MODELOG_HTTP_PORT", "oip": "MODELOG_OIP_GRPC_PORT"}
    rules = on_sqlite.of_kind("NetworkPolicy")[name]["spec"]["ingress"]

    assert {p: int(settings[setting_of[p]]) for p in setting_of if setting_of[p] in settings} == ports
    assert {p["name"]: p["containerPort"] for p in on_sqlite.container(service)["ports"]} == ports
    assert {p["name"]: p["port"] for p in on_sqlite.of_kind("Service")[name]["spec"]["ports"]} == ports
    assert {p["port"] for rule in rules for p in rule["ports"]} == set(ports)
    assert [p["port"] for rule in rules if "from" in rule for p in rule["ports"]] == ["grpc"]


def test_selectors_find_the_pods_they_are_for(rendered: Any) -> None:
    for name, deployment in rendered.of_kind("Deployment").items():
        labels = deployment["spec"]["template"]["metadata"]["labels"].items()
        assert labels >= deployment["spec"]["selector"]["matchLabels"].items()
        assert labels >= rendered.of_kind("Service")[name]["spec"]["selector"].items()
        for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
            assert labels >= rendered.of_kind(kind)[name]["spec"][key]["matchLabels"].items()
        assert deployment["spec"]["template"]["spec"]["serviceAccountName"] in rendered.of_kind("ServiceAccount")


def test_no_secret_is_written_into_a_manifest(on_postgresql: Any) -> None:
    lineage = environment(on_postgresql, "lineage")

    assert on_postgresql.of_kind("Secret") == {}
    assert lineage["MODELOG_EVENT_STORE"] == {"name": "modelog-events", "key": "url"}
    assert lineage["MODELOG_GRAPH_PASSWORD"] == {"name": "modelog-graph", "key": "password"}
    assert {"secretRef": {"name": "modelog-s3"}} in on_postgresql.container("serving")["envFrom"]
    assert not any(name.startswith("MODELOG_GRAPH") for name in environment(on_postgresql, "serving"))
