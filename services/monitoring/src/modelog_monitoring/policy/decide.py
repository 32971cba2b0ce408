"""The rules of retraining policies: what makes one, and which windows call for a challenger."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid
from modelog_common.domain.ids import derived_id

from modelog_monitoring.monitor.events import WindowEvaluated
from modelog_monitoring.policy.commands import CreatePolicy, PolicyCommand
from modelog_monitoring.policy.events import CanaryTest, PolicyCreated, PolicyEvent
from modelog_monitoring.policy.state import Policy, evolve


def decide(policy: Policy, command: PolicyCommand, ctx: Context) -> Sequence[PolicyEvent]:
    """The same definition under the same name is not an error."""
    _check(command)
    wanted = PolicyCreated(
        policy_id=derived_id(ctx.tenant, command.name),
        name=command.name,
        monitor=command.monitor,
        on_drift=command.on_drift,
        on_quality=command.on_quality,
        job=dict(command.job),
        dataset=command.dataset,
        evaluation_rows=command.evaluation_rows,
        canary_percent=command.canary_percent,
        canary_rows=command.canary_rows,
        author=ctx.actor,
        at=ctx.now,
        canary=command.canary,
    )
    known = policy.created
    if known is None:
        return [wanted]
    if _asked_for(known) == _asked_for(wanted):
        return ()
    raise AlreadyExists(
        f"retraining policy {known.name!r} exists already with another definition; {known.author} created it"
    )


def calls_for_challenger(policy: PolicyCreated, window: WindowEvaluated) -> bool:
    """Whether what a window showed meets the policy's conditions."""
    if policy.monitor != window.monitor:
        return False
    return (window.drift_alert or not policy.on_drift) and (window.quality_alert or not policy.on_quality)


def _asked_for(created: PolicyCreated) -> tuple[object, ...]:
    """What makes two definitions the same; who asked and when does not."""
    return (
        created.monitor,
        created.on_drift,
        created.on_quality,
        created.job,
        created.dataset,
        created.evaluation_rows,
        created.canary_percent,
        created.canary_rows,
        created.canary or CanaryTest(),
    )


def _check(command: CreatePolicy) -> None:
    if not (command.on_drift or command.on_quality):
        raise Invalid.field("on_drift", "neither on_drift nor on_quality is set; a policy needs at least one of them")
    if not command.canary.alpha < 1:
        raise Invalid.field("canary_alpha", "is 1, which would let every canary be decided at once; less is needed")
    if command.job.get("datasets"):
        raise Invalid.field(
            "job.datasets",
            f"must be empty: the policy gives the job the versions of {command.dataset} up to the window",
        )


POLICY: Decider[Policy, PolicyCommand, PolicyEvent] = Decider("monitoring.policy", Policy, decide, evolve)
