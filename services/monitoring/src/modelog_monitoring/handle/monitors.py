"""Creating monitors and policies: what they need of other services is fetched before it is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.outbound.reach import Reach
from modelog_common.privacy.subjects import Subjects

from modelog_monitoring.handle.channels import check_channels, seal_channels
from modelog_monitoring.handle.reference import References
from modelog_monitoring.monitor.commands import CreateMonitor, MonitorCommand
from modelog_monitoring.monitor.events import Channel, DatasetRef, DriftLimits, MonitorEvent
from modelog_monitoring.monitor.state import Monitor
from modelog_monitoring.monitor.window import WindowUnit
from modelog_monitoring.peers import Registry, Serving, champion_of
from modelog_monitoring.policy.commands import CreatePolicy, PolicyCommand
from modelog_monitoring.policy.events import PolicyEvent
from modelog_monitoring.policy.state import Policy
from modelog_monitoring.signature import kinds_of

MonitorEntities = Entities[Monitor, MonitorCommand, MonitorEvent]
PolicyEntities = Entities[Policy, PolicyCommand, PolicyEvent]


@dataclass(frozen=True)
class NewMonitor:
    """A monitor as it is asked for."""

    name: str
    deployment: str
    reference: tuple[DatasetRef, ...]
    window: WindowUnit
    label_column: str = ""
    allowed_lateness_s: float = 0.0
    drift: DriftLimits = field(default_factory=DriftLimits)
    auc_loss: float = 0.02
    channels: tuple[Channel, ...] = ()
    reference_auc: float = 0.0
    reference_log_loss: float = 0.0


class Monitors:
    """All monitors of all tenants."""

    def __init__(
        self, entities: MonitorEntities, references: References, serving: Serving, subjects: Subjects, reach: Reach
    ) -> None:
        self._entities, self._references, self._serving = entities, references, serving
        self._subjects, self._reach = subjects, reach

    async def create(self, new: NewMonitor, ctx: Context) -> int:
        """Watch a deployment; returns the position at which the monitor then stands.

        Raises NotFound for a deployment or dataset version that does not exist, AlreadyExists, or Invalid.
        """
        check_channels(new.channels, self._reach)
        deployment = await self._serving.deployment(new.deployment)
        digest = await self._references.build(new.reference, kinds_of(deployment.signature))
        command = CreateMonitor(
            name=new.name,
            deployment=new.deployment,
            model=deployment.model,
            champion=champion_of(deployment),
            reference=new.reference,
            profile_digest=digest,
            window=new.window,
            label_column=new.label_column,
            allowed_lateness_s=new.allowed_lateness_s,
            drift=new.drift,
            auc_loss=new.auc_loss,
            channels=await seal_channels(self._subjects, ctx.tenant, new.name, new.channels),
            reference_auc=new.reference_auc,
            reference_log_loss=new.reference_log_loss,
        )
        return (await self._entities.handle(derived_id(ctx.tenant, new.name), command, ctx)).position


class Policies:
    """All retraining policies of all tenants."""

    def __init__(self, entities: PolicyEntities, monitors: MonitorEntities, registry: Registry) -> None:
        self._entities, self._monitors, self._registry = entities, monitors, registry

    async def create(self, command: CreatePolicy, ctx: Context) -> int:
        """Retrain on what a monitor finds; returns the position at which the policy then stands.

        Raises NotFound for a monitor or dataset that does not exist, AlreadyExists, or Invalid.
        """
        monitor = await self._monitors.load(derived_id(ctx.tenant, command.monitor))
        if monitor.state.created is None:
            raise NotFound(f"there is no monitor {command.monitor!r}; create it first")
        if not monitor.state.created.label_column:
            raise Invalid.field(
                "monitor", f"{command.monitor!r} has no label_column; without labels no challenger can be judged"
            )
        _check_model(command.job, monitor.state.created.model)
        if not await self._registry.dataset_labels(command.dataset):
            raise NotFound(f"there is no dataset {command.dataset!r}")
        return (await self._entities.handle(derived_id(ctx.tenant, command.name), command, ctx)).position


def _check_model(job: Mapping[str, Any], model: str) -> None:
    named = job.get("register", {}).get("model", model)
    if named != model:
        raise Invalid.field("job.register.model", f"is {named!r}; the monitor's deployment serves {model!r}")
