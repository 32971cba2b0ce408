"""What follows from a command, or why it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id
from msgspec.structs import replace

from modelog_serving.deployment.caching import check_caching
from modelog_serving.deployment.commands import (
    SERVABLE_STAGES,
    Candidate,
    Create,
    DeploymentCommand,
    RollBack,
    SeeReplicas,
    SetCaching,
    SetResilience,
    SetScaling,
    SetTraffic,
    Shift,
    Stop,
)
from modelog_serving.deployment.events import (
    CachingSet,
    DeploymentCreated,
    DeploymentEvent,
    DeploymentStopped,
    ReplicasChanged,
    ResilienceSet,
    ScalingSet,
    ShareSet,
    TrafficSet,
)
from modelog_serving.deployment.resilience import (
    Fallback,
    Resilience,
    check_outputs,
    check_resilience,
    digest_of,
)
from modelog_serving.deployment.scaling import check_scaling
from modelog_serving.deployment.signature import difference, unservable
from modelog_serving.deployment.state import PRODUCTION, RUNNING, STOPPED, Deployment, Replicas, Variant, evolve

TOLERANCE = 0.001


def deployment_id(tenant: str, name: str) -> str:
    """The id that a deployment's name always has."""
    return derived_id(tenant, name)


def decide(deployment: Deployment, command: DeploymentCommand, ctx: Context) -> Sequence[DeploymentEvent]:
    match command:
        case Create():
            return create(deployment, command, ctx)
        case SetTraffic():
            return set_traffic(deployment, command, ctx)
        case Shift():
            return shift(deployment, command, ctx)
        case RollBack():
            return roll_back(deployment, command, ctx)
        case Stop():
            return stop(deployment, command, ctx)
        case SetScaling():
            return set_scaling(deployment, command, ctx)
        case SetCaching():
            return set_caching(deployment, command, ctx)
        case SetResilience():
            return set_resilience(deployment, command, ctx)
        case SeeReplicas():
            return see_replicas(deployment, command, ctx)
        case _:
            assert_never(command)


def create(deployment: Deployment, command: Create, ctx: Context) -> Sequence[DeploymentEvent]:
    if deployment.status == STOPPED:
        raise AlreadyExists(f"deployment {command.name} was stopped, and its name stays taken; choose another name")
    if deployment.status:
        raise AlreadyExists(
            f"deployment {command.name} already serves {deployment.model}; set its traffic, or choose another name"
        )
    candidate = command.candidate
    check(candidate, command.environment, "version")
    return [
        DeploymentCreated(
            deployment_id=deployment_id(ctx.tenant, command.name),
            name=command.name,
            model=candidate.model,
            environment=command.environment,
            author=ctx.actor,
            version=candidate.version,
            model_digest=candidate.digest,
            flavor=candidate.flavor,
            signature=candidate.signature,
            at=ctx.now,
        )
    ]


def set_traffic(deployment: Deployment, command: SetTraffic, ctx: Context) -> Sequence[DeploymentEvent]:
    _must_run(deployment, command.name)
    _check_shares(command)
    for number, share in enumerate(command.shares):
        field = f"shares[{number}].version"
        check(share.candidate, deployment.environment, field)
        other = difference(deployment.signature, share.candidate.signature)
        if other:
            raise NotAllowed(
                f"{field}: {share.candidate.model} {share.candidate.version} cannot answer for deployment "
                f"{deployment.name}: {other}. Its callers rely on the signature; make a new deployment for another one"
            )
    shares = [ShareSet(s.candidate.version, s.percent, s.candidate.digest, s.candidate.flavor) for s in command.shares]
    if {s.version: s.percent for s in shares} == {v.version: v.percent for v in deployment.variants}:
        return ()
    return [_traffic_set(deployment, shares, command.reason, ctx)]


def shift(deployment: Deployment, command: Shift, ctx: Context) -> Sequence[DeploymentEvent]:
    _must_run(deployment, command.name)
    if {s.version: s.percent for s in command.shares} == deployment.split:
        return ()
    if deployment.split not in command.before:
        raise NotAllowed(f"the traffic of {command.name} was set to {words_of(deployment.split)} by somebody else")
    return [_traffic_set(deployment, list(command.shares), command.reason, ctx)]


def roll_back(deployment: Deployment, command: RollBack, ctx: Context) -> Sequence[DeploymentEvent]:
    _must_run(deployment, command.name)
    target = going_back_to(deployment, command.version)
    if deployment.split == {target.version: 100.0}:
        return ()
    share = ShareSet(target.version, 100.0, target.digest, target.flavor)
    return [_traffic_set(deployment, [share], command.reason, ctx)]


def going_back_to(deployment: Deployment, version: str) -> Variant:
    """The version that a rollback gives the traffic to; raises NotAllowed or NotFound, which say which there are."""
    if not version:
        if deployment.previous is None:
            raise NotAllowed(f"no other version had all of the traffic of {deployment.name}: there is no way back")
        return deployment.previous
    found = next((v for v in deployment.answered if v.version == version), None)
    if found is None:
        known = ", ".join(v.version for v in deployment.answered)
        raise NotFound(f"version {version} never answered for {deployment.name}; these did: {known}")
    return found


def _traffic_set(deployment: Deployment, shares: list[ShareSet], reason: str, ctx: Context) -> TrafficSet:
    return TrafficSet(
        deployment_id=deployment.id,
        name=deployment.name,
        model=deployment.model,
        shares=shares,
        reason=reason,
        by=ctx.actor,
        at=ctx.now,
    )


def words_of(split: dict[str, float]) -> str:
    """A split such as "1.0.0 90 %, 1.1.0 10 %"."""
    return ", ".join(f"{version} {percent:g} %" for version, percent in split.items())


def stop(deployment: Deployment, command: Stop, ctx: Context) -> Sequence[DeploymentEvent]:
    if not deployment.status:
        raise NotFound(f"there is no deployment {command.name!r}")
    if deployment.status == STOPPED:
        return ()
    return [DeploymentStopped(deployment.id, deployment.name, ctx.actor, command.reason, ctx.now)]


def set_scaling(deployment: Deployment, command: SetScaling, ctx: Context) -> Sequence[DeploymentEvent]:
    _must_run(deployment, command.name, "scaling")
    check_scaling(command.scaling)
    if deployment.scaling == command.scaling:
        return ()
    return [
        ScalingSet(
            deployment_id=deployment.id,
            name=deployment.name,
            model=deployment.model,
            scaling=command.scaling,
            reason=command.reason,
            by=ctx.actor,
            at=ctx.now,
        )
    ]


def set_caching(deployment: Deployment, command: SetCaching, ctx: Context) -> Sequence[DeploymentEvent]:
    _must_run(deployment, command.name, "cache")
    check_caching(command.ttl_s, command.max_bytes)
    before = deployment.caching
    if (before and (before.ttl_s, before.max_bytes)) == ((command.ttl_s, command.max_bytes) if command.ttl_s else None):
        return ()
    return [
        CachingSet(
            deployment_id=deployment.id,
            name=deployment.name,
            model=deployment.model,
            ttl_s=command.ttl_s,
            max_bytes=command.max_bytes if command.ttl_s else 0,
            reason=command.reason,
            by=ctx.actor,
            at=ctx.now,
        )
    ]


def set_resilience(deployment: Deployment, command: SetResilience, ctx: Context) -> Sequence[DeploymentEvent]:
    _must_run(deployment, command.name, "resilience")
    resilience = None if command.resilience is None else _completed(deployment, command.resilience, command.candidate)
    if deployment.resilience == resilience:
        return ()
    return [
        ResilienceSet(
            deployment_id=deployment.id,
            name=deployment.name,
            model=deployment.model,
            resilience=resilience,
            reason=command.reason,
            by=ctx.actor,
            at=ctx.now,
        )
    ]


def _completed(deployment: Deployment, resilience: Resilience, candidate: Candidate | None) -> Resilience:
    """With the file that answers instead, and the digest of a default answer; raises why it cannot be."""
    check_resilience(resilience)
    if resilience.fallback is None:
        return resilience
    outputs = resilience.fallback.outputs and check_outputs(resilience.fallback.outputs, deployment.signature)
    made = Fallback(outputs=outputs, default_digest=digest_of(outputs) if outputs else "")
    if candidate is not None:
        field = "resilience.fallback.version"
        check(candidate, deployment.environment, field)
        other = difference(deployment.signature, candidate.signature)
        if other:
            raise NotAllowed(
                f"{field}: {candidate.model} {candidate.version} cannot answer instead in {deployment.name}: {other}"
            )
        made = replace(made, version=candidate.version, model_digest=candidate.digest, flavor=candidate.flavor)
    return replace(resilience, fallback=made)


def see_replicas(deployment: Deployment, command: SeeReplicas, ctx: Context) -> Sequence[DeploymentEvent]:
    """Nothing when it is as it was; a deployment that was stopped meanwhile has no replicas to tell of."""
    seen = Replicas(command.backend, command.wanted, command.ready, command.problems)
    if deployment.status != RUNNING or deployment.replicas == seen:
        return ()
    told = (command.backend, command.wanted, command.ready, command.problems)
    return [ReplicasChanged(deployment.id, deployment.name, *told, ctx.now)]


def check(candidate: Candidate, environment: str, field: str) -> None:
    """Raise NotAllowed, naming `field`, when a version may not answer in an environment."""
    name = f"{field}: {candidate.model} {candidate.version}"
    problem = unservable(candidate.signature) or ("" if candidate.digest else "it names no file")
    if problem:
        raise NotAllowed(f"{name} cannot be served: {problem}")
    if environment != PRODUCTION:
        return
    if not candidate.approved:
        raise NotAllowed(f"{name} is not approved; a production deployment needs an approved version")
    if candidate.stage not in SERVABLE_STAGES:
        raise NotAllowed(
            f"{name} is in stage {candidate.stage}; a production deployment needs a version in staging or production"
        )


def _must_run(deployment: Deployment, name: str, what: str = "traffic") -> None:
    if not deployment.status:
        raise NotFound(f"there is no deployment {name!r}")
    if deployment.status == STOPPED:
        raise NotAllowed(f"deployment {name} was stopped; its {what} cannot be set any more")


def _check_shares(command: SetTraffic) -> None:
    if not command.shares:
        raise Invalid.field("shares", "is empty; name at least one version")
    seen: set[str] = set()
    for number, share in enumerate(command.shares):
        if not 0 <= share.percent <= 100:
            raise Invalid.field(f"shares[{number}].percent", f"is {share.percent:g}; it must be from 0 to 100")
        if share.candidate.version in seen:
            raise Invalid.field(f"shares[{number}].version", f"{share.candidate.version} is named twice")
        seen.add(share.candidate.version)
    total = sum(share.percent for share in command.shares)
    if abs(total - 100) > TOLERANCE:
        raise Invalid.field("shares", f"add up to {total:g} percent; they must add up to 100")


DEPLOYMENTS: Decider[Deployment, DeploymentCommand, DeploymentEvent] = Decider(
    "serving.deployment", Deployment, decide, evolve
)
