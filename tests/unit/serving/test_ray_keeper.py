"""What is kept of replicas on Ray Serve as load rises and falls and deployments come and go; Ray is a stand-in."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Unavailable
from modelog_serving.deployment.commands import SeeReplicas
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import Signature
from modelog_serving.deployment.state import RUNNING, Deployment, Variant
from modelog_serving.engine.models import Models
from modelog_serving.rayserve.cluster import Application
from modelog_serving.rayserve.keeper import RESTS, Keeper
from modelog_serving.rayserve.remote import RayRuntimes
from modelog_serving.rayserve.spec import Spec, name_of
from modelog_serving.routing.idle import rest
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route
from modelog_serving.worker.limits import Limits

FILES = {hashlib.sha256(body).hexdigest(): body for body in (b"one", b"two")}
ONE, TWO = FILES


class Cluster:
    """Ray Serve, whose replicas are there at once."""

    def __init__(self) -> None:
        self.there: dict[str, int] = {}
        self.away = ""

    def name_of(self, spec: Spec) -> str:
        return name_of("test", spec)

    def deploy(self, spec: Spec, *, approved: bool) -> object:
        assert approved
        self.there.setdefault(self.name_of(spec), 1)
        return object()

    def applications(self) -> dict[str, Application]:
        if self.away:
            raise Unavailable(self.away)
        return {name: Application(name, "RUNNING", replicas, "", "") for name, replicas in self.there.items()}

    def scale(self, name: str, replicas: int) -> None:
        self.there[name] = replicas

    def wanted(self, name: str) -> int:
        return self.there[name]

    def delete(self, names: Iterable[str], unless: Callable[[str], bool]) -> None:
        for name in names:
            if not unless(name):
                del self.there[name]


class Files:
    async def fetch(self, digest: str) -> bytes:
        return FILES[digest]


class Deployments:
    """Routes, and the log that is told of replicas."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.resting: frozenset[str] = frozenset()
        self.decided = asyncio.Event()
        self.told: list[SeeReplicas] = []
        self.ready = True

    def running(self) -> list[Route]:
        return self.routes

    def rests(self, route: Route) -> bool:
        return route.deployment.id in self.resting

    def digests(self) -> set[str]:
        return {v.digest for r in self.routes if not self.rests(r) for v in r.needed}

    async def catch_up(self) -> None:
        return

    async def handle(self, _entity: str, command: SeeReplicas, _ctx: Any) -> None:
        self.told.append(command)


class World:
    def __init__(self) -> None:
        self.now_s, self.cluster, self.deployments = 100.0, Cluster(), Deployments()
        clock = ManualClock()
        self.meter = Meter(clock, timedelta(minutes=1))
        cluster: Any = self.cluster
        deployments: Any = self.deployments
        runtimes = RayRuntimes(cluster, Path("models"), 1, Limits())
        self.models = Models(Files(), runtimes, 8)
        self.models.keep(self.deployments.digests)
        self.keeper = Keeper(
            runtimes, self.models, deployments, deployments, self.meter, deployments, 60.0, clock, lambda: self.now_s
        )

    async def deploy(self, digest: str, scaling: Scaling | None = None) -> Route:
        variant = Variant("1.0.0", 100.0, digest, "xgboost")
        deployment = Deployment(
            id="d", name="flights", model="m", status=RUNNING, variants=(variant,), scaling=scaling,
            signature=Signature(),
        )  # fmt: skip
        route = Route("acme", deployment, {"1.0.0": variant})
        await self.models.get(route.ref(variant))
        self.deployments.routes = [route]
        return route

    async def look(self, after_s: float = 1.0) -> list[int]:
        """The replicas of each application after a look."""
        self.now_s += after_s
        await self.keeper.look()
        return list(self.cluster.there.values())

    @property
    def told(self) -> tuple[int, int, tuple[str, ...]]:
        last = self.deployments.told[-1]
        assert last.backend == "ray"
        return last.wanted, last.ready, last.problems


@pytest.fixture
async def world() -> World:
    return World()


async def test_replicas_follow_a_load_that_rises_and_falls(world: World) -> None:
    route = await world.deploy(ONE, Scaling(1, 4, target_concurrency=2, down_cooldown_s=5))
    assert await world.look() == [1]
    world.meter.answered(route, "1.0.0", 6.0)
    assert await world.look() == [3], "six requests were under way in the mean"
    assert [(await world.look())[0] for _ in range(6)] == [3, 3, 3, 3, 3, 1]
    await world.look()
    assert world.told == (1, 1, ())


async def test_no_application_is_left_of_a_deployment_that_rests_until_it_is_asked(world: World) -> None:
    route = await world.deploy(ONE, Scaling(1, 1, scale_to_zero=True, idle_s=10))
    assert await world.look() == [1]
    deployments: Any = world.deployments
    rest(deployments, world.models, ["d"])
    assert await world.look() == []
    assert world.told == (0, 0, (RESTS,))
    await world.models.get(route.ref(route.variants["1.0.0"]))
    assert await world.look() == [1], "what was made for a request is not taken away while it rests still"
    rest(deployments, world.models, [])
    assert await world.look() == [1]
    assert world.told == (1, 1, ())


async def test_what_no_traffic_needs_goes_when_it_was_not_asked_for_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelog_serving.rayserve.remote.time.monotonic", lambda: world.now_s)
    await world.deploy(ONE)
    await world.deploy(TWO)
    assert await world.look() == [1, 1]
    assert await world.look(50) == [1, 1]
    assert await world.look(20) == [1]
    world.deployments.routes = []
    assert await world.look() == []


async def test_an_application_that_nobody_here_has_a_model_of_goes_once_all_are_loaded(world: World) -> None:
    world.cluster.there["modelog-test-of-before"] = 2
    world.deployments.ready = False
    await world.deploy(ONE)
    assert await world.look() == [2, 1], "it may be the next that is found again"
    world.deployments.ready = True
    assert await world.look() == [1]


async def test_models_are_let_go_of_while_ray_is_away_and_that_is_told(world: World) -> None:
    route = await world.deploy(ONE)
    assert await world.look() == [1]
    world.cluster.away = "Ray at 127.0.0.1:1 does not answer"
    await world.look()
    assert world.told == (1, 0, ("Ray at 127.0.0.1:1 does not answer",))
    assert world.models.loaded(route.ref(route.variants["1.0.0"])) is None
