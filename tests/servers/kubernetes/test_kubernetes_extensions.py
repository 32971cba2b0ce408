"""A cluster with the Gateway API's and KEDA's own definitions: routes by weight, and a ScaledObject."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import READY, Cluster, World
from modelog_common.config import Settings
from modelog_platform.servers.recipe import servers_home
from modelog_serving.deployment.commands import SetScaling
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.kubernetes.kinds import BY_NAME, DEPLOYMENT, HTTP_ROUTE, SCALED
from modelog_serving.kubernetes.objects import objects
from modelog_serving.kubernetes.pods import template_of
from real_servers import KubernetesServer

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PATIENCE_S = 150.0
APART = {"variants": "apart", "gateway": "edge/main", "domain": "models.example.org"}
KEDA = {"scaler": "keda", "prometheus": "http://prometheus:9090", "activation_query": "sum(requests)"}


@pytest.fixture(scope="module", autouse=True)
def extensions(kubernetes: KubernetesServer) -> Iterator[None]:
    """Installed for this module: others look at a cluster that lacks them."""
    cluster = Cluster(kubernetes, "default")
    files = (servers_home() / "kubernetes-extensions").glob("*.yaml")
    made = [yaml.load(file.read_text(), yaml.CSafeLoader) for file in files]
    for one in made:
        cluster.ask("POST", DEFINITIONS, one)
    for one in made:
        until_served(cluster, one)
    yield
    for one in made:
        cluster.ask("DELETE", f"{DEFINITIONS}/{one['metadata']['name']}")
    for one in made:
        until_served(cluster, one, served=False)


def until_served(cluster: Cluster, definition: dict[str, Any], *, served: bool = True) -> None:
    group, plural = definition["spec"]["group"], definition["spec"]["names"]["plural"]
    version = next(v["name"] for v in definition["spec"]["versions"] if v["served"] and v["storage"])
    deadline = time.monotonic() + PATIENCE_S
    while answers(cluster, f"/apis/{group}/{version}/namespaces/default/{plural}") is not served:
        assert time.monotonic() < deadline, f"{plural} are served: {not served}, after {PATIENCE_S:g} s still"
        time.sleep(0.05)


def answers(cluster: Cluster, path: str) -> bool:
    try:
        cluster.ask("GET", path)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False
    return True


def weights(cluster: Cluster) -> dict[str, int]:
    (route,) = cluster.every(HTTP_ROUTE).values()
    return {backend["name"]: backend["weight"] for backend in route["spec"]["rules"][-1]["backendRefs"]}


async def test_the_definitions_refuse_none_of_the_objects(world: World) -> None:
    both = world.with_(**APART, **KEDA)
    await both.deploy()
    await both.split(75)
    scaling = Scaling(1, 3, target_concurrency=2, target_latency_ms=0.5, scale_to_zero=True)
    deployment = await both.do(SetScaling("flights", scaling))
    template = template_of(both.settings, Settings(data_dir=both.folder))
    for wanted in objects("acme", deployment, template, both.settings):
        path = BY_NAME[wanted["kind"]].path(both.cluster.namespace)
        try:
            both.cluster.ask("POST", f"{path}?fieldValidation=Strict&dryRun=All", wanted)
        except urllib.error.HTTPError as error:
            pytest.fail(error.read().decode())


async def test_new_versions_get_traffic_when_they_are_ready_and_old_ones_keep_it_until_then(world: World) -> None:
    apart = world.with_(**APART)
    await apart.deploy()
    await apart.round()
    first, second = await apart.named("1.0.0"), await apart.named("1.1.0")
    await apart.cluster.pods(1)
    apart.cluster.say_of_pods(READY)
    await apart.settled(1)
    await apart.split(0)
    await apart.round()
    await apart.cluster.pods(2)
    await apart.round()
    assert weights(apart.cluster) == {first: 10_000}
    apart.cluster.say_of_pods(READY)
    await apart.settled(2)
    await apart.round()
    assert weights(apart.cluster) == {first: 0, second: 10_000}
    assert set(apart.cluster.every(DEPLOYMENT)) == {first, second}


async def test_new_weights_are_patched_in_place(world: World) -> None:
    apart = world.with_(**APART)
    await apart.deploy()
    await apart.split(90)
    await apart.round()
    await apart.cluster.pods(2)
    apart.cluster.say_of_pods(READY)
    await apart.settled(2)
    (before,) = apart.cluster.every(HTTP_ROUTE).values()
    await apart.split(40)
    await apart.round()
    (after,) = apart.cluster.every(HTTP_ROUTE).values()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert sorted(weights(apart.cluster).values()) == [4000, 6000]


async def test_keda_gets_a_scaled_object_instead_of_an_autoscaler(world: World) -> None:
    keda = world.with_(**KEDA)
    await keda.deploy()
    await keda.do(SetScaling("flights", Scaling(1, 3, target_concurrency=2, scale_to_zero=True)))
    await keda.round()
    (scaled,) = keda.cluster.every(SCALED).values()
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (0, 3)
    replicas = (await keda.seen()).replicas
    assert replicas is not None
    assert replicas.problems == ()
    await keda.with_(scaler="hpa").round()
    assert not keda.cluster.every(SCALED)


def test_there_are_definitions() -> None:
    assert list(Path(servers_home() / "kubernetes-extensions").glob("*.yaml"))
