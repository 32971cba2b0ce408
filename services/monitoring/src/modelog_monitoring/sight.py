"""What requests and answers of monitoring name, and which models that is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelog_common.domain.errors import NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.rpc.sight import OUT_OF_SIGHT, Vocabulary

from modelog_monitoring.abtest.state import AbTest
from modelog_monitoring.monitor.state import Monitor
from modelog_monitoring.peers import Serving
from modelog_monitoring.policy.state import Policy
from modelog_monitoring.retraining.state import Retraining

DEPLOYMENT, MONITOR, POLICY, RETRAINING, TEST = "deployment", "monitor", "policy", "retraining", "A/B test"
VOCABULARY = Vocabulary(
    "modelog.monitoring.v1",
    {
        "model": "model",
        # Of the job that a policy submits.
        "experiment": "experiment-name",
        "deployment": DEPLOYMENT,
        "monitor": MONITOR,
        "policy": POLICY,
        "retraining": RETRAINING,
        "retraining_id": RETRAINING,
        "GetMonitorRequest.name": MONITOR,
        "AbLook.test": TEST,
        "StartAbTestRequest.name": TEST,
        "StopAbTestRequest.name": TEST,
        "GetAbTestRequest.name": TEST,
        "ListAbLooksRequest.name": TEST,
        # These narrow a list, which finds nothing where there is nothing.
        "ListAlertsRequest.monitor": "",
        "ListRetrainingsRequest.policy": "",
        "ListAbTestsRequest.deployment": "",
        "ListServiceLevelsRequest.model": "",
        "ListServiceLevelsRequest.deployment": "",
    },
)


class Watched:
    """Knows of which model's answers a deployment's are, which its name keeps for good."""

    def __init__(
        self,
        monitors: Entities[Monitor, Any, Any],
        policies: Entities[Policy, Any, Any],
        retrainings: Entities[Retraining, Any, Any],
        tests: Entities[AbTest, Any, Any],
        serving: Serving,
    ) -> None:
        self._monitors, self._policies, self._retrainings = monitors, policies, retrainings
        self._tests, self._serving = tests, serving
        self._models: dict[tuple[str, str], str] = {}

    async def things_of(self, kind: str, name: str, tenant: str) -> Sequence[str]:
        """The model that something is about; nothing for what is not there."""
        match kind:
            case "deployment":
                return await self._of_deployment(name, tenant)
            case "monitor":
                monitor = (await self._monitors.load(derived_id(tenant, name))).state.created
                return await self._of_deployment(monitor.deployment, tenant) if monitor is not None else []
            case "policy":
                policy = (await self._policies.load(derived_id(tenant, name))).state.created
                return await self.things_of(MONITOR, policy.monitor, tenant) if policy is not None else []
            case "retraining":
                found = await self._retrainings.load(name)
                started = found.state.started
                return await self._of_deployment(started.deployment, tenant) if started is not None else []
            case _:
                test = (await self._tests.load(derived_id(tenant, name))).state.created
                return [f"model:{test.model}"] if test is not None else []

    async def _of_deployment(self, name: str, tenant: str) -> Sequence[str]:
        if (tenant, name) not in self._models:
            try:
                self._models[tenant, name] = (await self._serving.deployment(name)).model
            except NotFound:
                # Serving tells the caller, in whose name it is asked, nothing of what is hidden from them.
                return [OUT_OF_SIGHT]
        return [f"model:{self._models[tenant, name]}"]
