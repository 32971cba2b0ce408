"""What the log decides is so in the cluster, also after others changed it; and what the cluster says is in the log."""

from __future__ import annotations

import urllib.error

import pytest
from cluster import READY, Cluster, World
from modelog_serving.deployment.commands import SetScaling, Stop
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.kubernetes.kinds import AUTOSCALER, BUDGET, DEPLOYMENT, KINDS, SERVICE
from modelog_serving.kubernetes.names import INSTALLATION, MANAGER

UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


def everything(cluster: Cluster) -> dict[str, list[str]]:
    found = {}
    for kind in (DEPLOYMENT, SERVICE, BUDGET, AUTOSCALER):
        if names := sorted(cluster.every(kind)):
            found[kind.name] = names
    return found


def written(cluster: Cluster) -> dict[tuple[str, str], object]:
    """What changes with every write of ours: not the version, for the cluster's controllers write of pods meanwhile."""
    found: dict[tuple[str, str], object] = {}
    for kind in (DEPLOYMENT, SERVICE, BUDGET, AUTOSCALER):
        for name, made in cluster.every(kind).items():
            about = made["metadata"]
            ours = [entry for entry in about["managedFields"] if entry["manager"] == MANAGER]
            assert ours, f"{MANAGER} applied no field of {kind.name} {name}"
            found[kind.name, name] = (about["uid"], about.get("generation"), ours)
    return found


async def test_a_deployment_becomes_objects_and_pods(world: World) -> None:
    deployment = await world.deploy()
    await world.round()
    name = await world.named()
    assert everything(world.cluster) == {kind.name: [name] for kind in (DEPLOYMENT, SERVICE, BUDGET)}
    live = world.live(name)
    container = live["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "MODELOG_SERVING_ONLY", "value": "acme/flights"} in container["env"]
    assert container["image"] == "modelog/serving:test"
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert live["metadata"]["annotations"]["modelog/digest.1.0.0"] == "a" * 64
    assert live["metadata"]["labels"]["modelog/deployment-id"] == deployment.id
    await world.cluster.pods(1)
    await world.settled(0)
    replicas = (await world.seen()).replicas
    assert replicas is not None
    assert (replicas.backend, replicas.wanted, replicas.ready, replicas.problems) == ("kubernetes", 1, 0, ())


async def test_pods_that_become_ready_are_told_once(world: World) -> None:
    await world.deploy()
    await world.round()
    await world.cluster.pods(1)
    world.cluster.say_of_pods(READY)
    await world.settled(1)
    head = await world.store.head()
    await world.round()
    assert await world.store.head() == head


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {"conditions": [UNSCHEDULABLE | {"message": "no room"}]},
            "1 pod: Unschedulable: no room",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "name": "serving", "image": "i", "imageID": "", "ready": False, "restartCount": 3,
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
                        "lastState": {"terminated": {"reason": "Error", "exitCode": 3, "message": "no settings"}},
                    }
                ]
            },
            "1 pod: CrashLoopBackOff (Error, exit status 3): no settings",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "name": "serving", "image": "i", "imageID": "", "ready": False, "restartCount": 0,
                        "state": {"waiting": {"reason": "ErrImagePull", "message": "rpc error"}},
                    }
                ]
            },
            "1 pod: ImagePullBackOff",
        ),
    ],
    ids=["unschedulable", "crashes", "image"],
)  # fmt: skip
async def test_why_a_pod_is_not_ready_is_told(world: World, status: dict[str, object], told: str) -> None:
    await world.deploy()
    await world.round()
    await world.cluster.pods(1)
    world.cluster.say_of_pods(status)
    await world.round()
    replicas = (await world.seen()).replicas
    assert replicas is not None
    assert replicas.problems == (told,)


async def test_a_round_that_finds_all_as_it_should_be_writes_nothing(world: World) -> None:
    await world.deploy()
    await world.do(SetScaling("flights", Scaling(1, 4, target_concurrency=2.5)))
    await world.round()
    await world.cluster.pods(1)
    await world.round()
    before = written(world.cluster)
    await world.round()
    assert written(world.cluster) == before


async def test_pods_ask_for_the_gpus_that_were_set_until_none_are(world: World) -> None:
    await world.deploy()
    await world.do(SetScaling("flights", Scaling(gpus=2)))
    await world.round()
    name = await world.named()

    def asked() -> dict[str, str]:
        (container,) = world.live(name)["spec"]["template"]["spec"]["containers"]
        return {what: amount for what, amount in container["resources"]["limits"].items() if what != "memory"}

    assert asked() == {"nvidia.com/gpu": "2"}
    before = written(world.cluster)
    await world.round()
    assert written(world.cluster) == before, "it is as it was wanted"
    await world.do(SetScaling("flights", Scaling()))
    await world.round()
    assert asked() == {}


async def test_new_traffic_changes_no_pod(world: World) -> None:
    await world.deploy()
    await world.round()
    name = await world.named()
    before = world.live(name)
    await world.split(90)
    await world.round()
    after = world.live(name)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert after["metadata"]["annotations"]["modelog/digest.1.1.0"] == "b" * 64


async def test_what_others_change_of_ours_is_put_right_and_theirs_stays(world: World) -> None:
    await world.deploy()
    await world.round()
    name = await world.named()
    theirs = {"metadata": {"annotations": {"team": "ops"}, "labels": {"cost": "42"}}}
    ours = {"spec": {"replicas": 7, "template": {"metadata": {"annotations": {"restarted": "today"}}}}}
    world.cluster.edit(DEPLOYMENT, name, theirs | ours)
    world.cluster.edit(SERVICE, name, {"spec": {"selector": {"app": "other"}, "sessionAffinity": "ClientIP"}})
    await world.round()
    live = world.live(name)
    assert live["spec"]["replicas"] == 1
    assert live["metadata"]["annotations"]["team"] == "ops"
    assert live["metadata"]["labels"]["cost"] == "42"
    assert live["spec"]["template"]["metadata"]["annotations"] == {"restarted": "today"}
    service = world.cluster.get(SERVICE, name)
    assert service is not None
    assert service["spec"]["sessionAffinity"] == "ClientIP"


async def test_what_is_deleted_or_loses_its_labels_comes_back(world: World) -> None:
    await world.deploy()
    await world.round()
    name = await world.named()
    world.cluster.ask("DELETE", SERVICE.path(world.cluster.namespace, name))
    world.cluster.edit(BUDGET, name, {"metadata": {"labels": {INSTALLATION: None}}})
    await world.round()
    assert everything(world.cluster) == {kind.name: [name] for kind in (DEPLOYMENT, SERVICE, BUDGET)}
    budget = world.cluster.get(BUDGET, name)
    assert budget is not None
    assert budget["metadata"]["labels"][INSTALLATION] == "modelog"


async def test_a_deployment_that_is_stopped_is_deleted_and_nothing_else(world: World) -> None:
    await world.deploy()
    await world.deploy("other")
    await world.round()
    foreign = {"metadata": {"name": "theirs"}, "spec": {"ports": [{"port": 80}]}}
    world.cluster.ask("POST", SERVICE.path(world.cluster.namespace), foreign)
    other = world.with_(installation="another")
    await other.round()
    await world.do(Stop("flights"))
    await world.round()
    left = everything(world.cluster)
    assert "theirs" in left["Service"]
    assert [name for name in left["Deployment"] if name.startswith("serve-flights-")] == []
    assert [name for name in left["Deployment"] if name.startswith("serve-other-")] != []
    await world.cluster.pods(1)


async def test_what_another_made_is_left_as_it_is_and_that_is_told(world: World) -> None:
    await world.deploy()
    name = await world.named()
    foreign = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
    world.cluster.ask("POST", SERVICE.path(world.cluster.namespace), foreign)
    await world.round()
    service = world.cluster.get(SERVICE, name)
    assert service is not None
    assert [port["port"] for port in service["spec"]["ports"]] == [80]
    replicas = (await world.seen()).replicas
    assert replicas is not None
    assert replicas.problems == (f"there is a Service {name} that Modelog did not make; it is left as it is",)
    assert world.live(name)


async def test_the_number_of_replicas_is_left_to_the_autoscaler(world: World) -> None:
    """Also in the moment in which scaling is set: a field that nobody applies any more would go back to one replica."""
    three = world.with_(replicas=3)
    await three.deploy()
    await three.round()
    name = await three.named()
    await three.do(SetScaling("flights", Scaling(2, 6, target_concurrency=4, down_cooldown_s=60)))
    await three.round()
    assert three.live(name)["spec"]["replicas"] == 3
    scaler = three.cluster.get(AUTOSCALER, name)
    assert scaler is not None
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 6)
    assert scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60
    # As the autoscaler does it.
    three.cluster.ask(
        "PATCH",
        f"{DEPLOYMENT.path(three.cluster.namespace, name)}/scale?fieldManager=kube-controller-manager",
        {"spec": {"replicas": 5}},
        "application/merge-patch+json",
    )
    await three.round()
    await three.round()
    assert three.live(name)["spec"]["replicas"] == 5


async def test_the_api_refuses_none_of_the_kinds(world: World) -> None:
    """Every object is checked by the API server's own rules, strictly: no field is unknown to it."""
    from modelog_common.config import Settings
    from modelog_serving.kubernetes.objects import objects
    from modelog_serving.kubernetes.pods import template_of

    await world.deploy()
    deployment = await world.do(
        SetScaling("flights", Scaling(1, 3, target_concurrency=2, target_latency_ms=0.5, gpus=1))
    )
    template = template_of(world.settings, Settings(data_dir=world.folder))
    by_name = {kind.name: kind for kind in KINDS}
    made = objects("acme", deployment, template, world.settings)
    assert [o["kind"] for o in made] == ["Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"]
    for wanted in made:
        path = by_name[wanted["kind"]].path(world.cluster.namespace)
        try:
            world.cluster.ask("POST", f"{path}?fieldValidation=Strict&dryRun=All", wanted)
        except urllib.error.HTTPError as error:
            pytest.fail(error.read().decode())
