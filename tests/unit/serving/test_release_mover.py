"""Moving a release's traffic: it is where the release wants it only when what answers has followed."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from modelog_common.domain.clock import ManualClock
from modelog_common.testing.scenario import NOW
from modelog_serving.deployment.state import Deployment, Variant
from modelog_serving.release.decide import RELEASES
from modelog_serving.release.events import Counts, ReleaseStarted, Served
from modelog_serving.release.plan import Pattern, Plan, checked
from modelog_serving.release.state import Release
from modelog_serving.releasing.board import Owned
from modelog_serving.releasing.traffic import Mover

OLD, NEW = Served("1.0.0", "a" * 64, "xgboost"), Served("1.1.0", "b" * 64, "xgboost")


@dataclass
class Behind:
    """Stands for deployments whose traffic the release's own command has set, and for routes that have not followed."""

    deployment: Deployment
    followed: int = 0

    async def current(self, _deployment_id: str) -> Any:
        return SimpleNamespace(state=self.deployment)

    async def catch_up(self) -> None:
        self.followed += 1


async def test_traffic_that_was_set_by_another_task_is_waited_for_until_it_is_followed() -> None:
    """Else the release would take its own traffic for somebody else's, and stop."""
    variants = tuple(Variant(of.version, share, of.digest, of.flavor) for of, share in ((OLD, 90.0), (NEW, 10.0)))
    behind = Behind(Deployment(id="d1", name="flights", variants=variants))
    mover: Any = Mover(behind, behind, ManualClock())  # type: ignore[arg-type]
    plan = checked(Plan(Pattern.CANARY, (10.0, 50.0, 100.0), error_margin=0.01))
    started = ReleaseStarted("d1", "flights", 1, "flight-delay", OLD, NEW, plan, Counts(), "", "alice", NOW)
    release = RELEASES.evolve(Release(), started)
    assert release.split() == behind.deployment.split
    await mover.apply(Owned("acme", "d1", release))
    assert behind.followed == 1
