"""The API server that goes away, says no, lacks a kind, or is asked for too much."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from cluster import READY, Cluster, World
from helm_python import Chart
from modelog_common.domain.errors import Unavailable
from modelog_serving.deployment.commands import SetScaling, Stop
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.kubernetes.api import Api
from modelog_serving.kubernetes.kinds import DEPLOYMENT, SERVICE
from modelog_serving.kubernetes.settings import KubernetesSettings
from real_servers import started_again

CHART = Path(__file__).parents[3] / "deploy" / "helm" / "modelog"


async def test_what_is_decided_while_the_api_server_is_away_is_done_when_it_is_back(world: World) -> None:
    await world.deploy()
    running = asyncio.create_task(world.with_(resync_s=0.2).reconciler.run())
    try:
        await world.cluster.pods(1)
        world.cluster.server.kill()
        await world.split(50)
        await world.deploy("second")
        await world.routes.catch_up()
    finally:
        started_again(world.cluster.server)
    try:
        await world.cluster.pods(2)
        world.cluster.say_of_pods(READY)

        async def told() -> bool:
            replicas = (await world.seen("second")).replicas
            return replicas is not None and replicas.ready == 1

        await world.cluster.until(told, "the second deployment is told to be ready")
        name = await world.named()
        assert "modelog/digest.1.1.0" in world.live(name)["metadata"]["annotations"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_api_server_that_cannot_be_reached_is_told(world: World) -> None:
    async with Api(world.settings.changed(api="https://127.0.0.1:1")) as api:
        with pytest.raises(Unavailable, match="the Kubernetes API at https://127.0.0.1:1 does not answer"):
            await api.every(DEPLOYMENT, "")


def account(cluster: Cluster, rules: list[dict[str, object]]) -> str:
    """The token of a service account that may do this much in the namespace."""
    rbac, core = "/apis/rbac.authorization.k8s.io/v1", f"/api/v1/namespaces/{cluster.namespace}"
    cluster.ask("POST", f"{core}/serviceaccounts", {"metadata": {"name": "serving"}})
    cluster.ask("POST", f"{rbac}/namespaces/{cluster.namespace}/roles", {"metadata": {"name": "r"}, "rules": rules})
    binding = {
        "metadata": {"name": "r"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "serving", "namespace": cluster.namespace}],
    }
    cluster.ask("POST", f"{rbac}/namespaces/{cluster.namespace}/rolebindings", binding)
    asked = cluster.ask("POST", f"{core}/serviceaccounts/serving/token", {"spec": {}})
    return str(asked["status"]["token"])


async def test_what_rbac_forbids_is_told_and_the_rest_is_done(world: World) -> None:
    rules: list[dict[str, object]] = [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "create", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list"]},
    ]
    token = world.folder / "token"
    token.write_text(account(world.cluster, rules))
    limited = world.with_(token_file=token)
    await limited.deploy()
    await limited.round()
    replicas = (await limited.seen()).replicas
    assert replicas is not None
    told = "\n".join(replicas.problems)
    assert 'cannot patch resource "services" in API group ""' in told
    assert 'cannot list resource "poddisruptionbudgets" in API group "policy"' in told
    assert limited.live(await limited.named())
    assert not limited.cluster.every(SERVICE)


async def test_the_rights_that_the_chart_gives_are_enough(world: World) -> None:
    """Also to find out which kinds the cluster lacks."""
    values = {
        "global": {
            "events": {"store": "postgresql", "postgresql": {"secret": "events", "key": "url"}},
            "blobs": {"url": "s3://models"},
            "curves": {"url": "influxdb://influxdb:8086/modelog/runs"},
        },
        "serving": {"kubernetes": {"variants": "together"}},
    }
    with Chart.load(CHART) as chart:
        files = chart.render(values, name="modelog", namespace=world.cluster.namespace)
    texts = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
    (role,) = [m for text in texts for m in yaml.safe_load_all(text) if m and m["kind"] == "Role"]
    token = world.folder / "token"
    token.write_text(account(world.cluster, role["rules"]))
    limited = world.with_(token_file=token)
    await limited.deploy()
    await limited.do(SetScaling("flights", Scaling(1, 3, target_concurrency=2)))
    await limited.round()
    await limited.cluster.pods(1)
    limited.cluster.say_of_pods(READY)
    await limited.settled(1)
    replicas = (await limited.seen()).replicas
    assert replicas is not None
    assert replicas.problems == ()
    await limited.do(Stop("flights"))
    await limited.round()
    assert not limited.cluster.every(DEPLOYMENT)


async def test_a_kind_that_the_cluster_lacks_is_told_and_the_rest_is_done(world: World) -> None:
    keda = world.with_(scaler="keda", prometheus="http://prometheus:9090", namespace=world.cluster.namespace)
    await keda.deploy()
    await keda.do(SetScaling("flights", Scaling(1, 3, target_concurrency=2, scale_to_zero=True)))
    await keda.round()
    replicas = (await keda.seen()).replicas
    assert replicas is not None
    assert "the cluster has no ScaledObject (keda.sh/v1alpha1): install KEDA" in replicas.problems
    assert any(text.startswith("one replica stays: scaling to zero needs") for text in replicas.problems)
    assert keda.live(await keda.named())


class Moody:
    """Stands before nothing: an API that answers what it is told, one after the other."""

    def __init__(self, answers: list[tuple[int, dict[str, str]]]) -> None:
        self.answers, self.asked = answers, 0

    async def handle(self, _request: web.Request) -> web.Response:
        status, headers = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        body = {"items": [], "metadata": {}} if status == 200 else {"message": f"status {status}"}
        return web.Response(status=status, headers=headers, text=json.dumps(body))


async def moody(
    world: World, answers: list[tuple[int, dict[str, str]]]
) -> tuple[Moody, web.AppRunner, KubernetesSettings]:
    made = Moody(answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    return made, runner, world.settings.changed(api=f"http://127.0.0.1:{port}")


async def test_too_many_requests_and_servers_that_fail_are_asked_again(world: World) -> None:
    made, runner, settings = await moody(world, [(429, {"retry-after": "0"}), (503, {}), (500, {}), (200, {})])
    async with Api(settings) as api:
        assert await api.every(DEPLOYMENT, "") == []
    assert made.asked == 4
    await runner.cleanup()


async def test_a_server_that_goes_on_failing_is_given_up_for_this_round(world: World) -> None:
    made, runner, settings = await moody(world, [(503, {})])
    async with Api(settings) as api:
        with pytest.raises(Unavailable, match="Kubernetes fails: status 503"):
            await api.every(DEPLOYMENT, "")
    assert made.asked == 5
    await runner.cleanup()


async def test_a_deployment_that_is_stopped_while_it_is_looked_at_is_told_nothing_of(world: World) -> None:
    await world.deploy()
    await world.round()
    await world.cluster.pods(1)
    world.cluster.say_of_pods(READY)
    await world.do(Stop("flights"))
    head = await world.store.head()
    await world.round()
    assert await world.store.head() == head
    await world.cluster.pods(0)
