"""What follows from asking something of a deployment, and what is refused in which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from modelog_common.domain.errors import AlreadyExists, Invalid, ModelogError, NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, scenario
from modelog_serving.deployment.caching import Caching
from modelog_serving.deployment.commands import (
    Candidate,
    Create,
    SeeReplicas,
    SetCaching,
    SetScaling,
    SetTraffic,
    Share,
    Stop,
)
from modelog_serving.deployment.decide import DEPLOYMENTS, deployment_id
from modelog_serving.deployment.events import (
    CachingSet,
    DeploymentCreated,
    DeploymentStopped,
    ReplicasChanged,
    ScalingSet,
    ShareSet,
    TrafficSet,
)
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.state import Variant

SIGNATURE = Signature(
    (TensorSpec("features", "FP32", (-1, 2), ("hour", "wind"), ("numeric", "numeric")),),
    (TensorSpec("late", "FP32", (-1,)),),
)
V1 = Candidate("flight-delay", "1.0.0", "a" * 64, "xgboost", SIGNATURE, "staging", True)
V2 = replace(V1, version="1.1.0", digest="b" * 64)
ID = deployment_id("acme", "flights")
CREATED = DeploymentCreated(
    ID, "flights", "flight-delay", "production", "alice", "1.0.0", "a" * 64, "xgboost", SIGNATURE, NOW
)
STOPPED = DeploymentStopped(ID, "flights", "alice", "over", NOW)


def traffic(*shares: tuple[str, float], reason: str = "") -> TrafficSet:
    digests = {"1.0.0": "a" * 64, "1.1.0": "b" * 64}
    return TrafficSet(
        ID,
        "flights",
        "flight-delay",
        [ShareSet(version, percent, digests[version], "xgboost") for version, percent in shares],
        reason,
        "alice",
        NOW,
    )


def split(*shares: tuple[Candidate, float], reason: str = "") -> SetTraffic:
    return SetTraffic("flights", tuple(Share(candidate, percent) for candidate, percent in shares), reason)


def check(**story: Any) -> Any:
    return scenario(DEPLOYMENTS, **story)


def test_a_version_is_deployed_with_all_traffic() -> None:
    made = check(when=Create("flights", "production", V1), then=[CREATED])
    assert made.variants == (Variant("1.0.0", 100.0, "a" * 64, "xgboost"),)
    assert (made.status, made.created_at) == ("running", NOW)


def test_names_are_taken_once() -> None:
    create = Create("flights", "dev", V2)
    check(given=[CREATED], when=create, refused="already serves flight-delay", error=AlreadyExists)
    check(given=[CREATED, STOPPED], when=create, refused="its name stays taken", error=AlreadyExists)


def test_production_needs_an_approved_version_in_staging_or_production() -> None:
    def create(**facts: Any) -> Create:
        return Create("flights", "production", replace(V1, **facts))

    check(when=create(approved=False), refused="flight-delay 1.0.0 is not approved", error=NotAllowed)
    for stage in ("development", "archived"):
        check(when=create(stage=stage), refused=f"is in stage {stage}; a production deployment needs", error=NotAllowed)
    check(when=create(stage="production"), then=[CREATED])
    free = Create("flights", "dev", replace(V1, approved=False, stage="development"))
    assert check(when=free, then=[replace_event(CREATED, environment="dev")]).environment == "dev"


def replace_event(event: DeploymentCreated, **fields: Any) -> DeploymentCreated:
    return DeploymentCreated(**({name: getattr(event, name) for name in event.__struct_fields__} | fields))


@pytest.mark.parametrize(
    ("inputs", "outputs", "text"),
    [
        ((), SIGNATURE.outputs, "its signature names no input"),
        (SIGNATURE.inputs, (), "its signature names no output"),
        ((TensorSpec("x", "FP32", (-1, -1)),), SIGNATURE.outputs, "leaves the width of input 'x' open"),
        ((TensorSpec("x", "FP32", (-1, 0)),), SIGNATURE.outputs, "gives input 'x' no columns"),
        ((TensorSpec("x", "BF16", (-1,)),), SIGNATURE.outputs, "'BF16'; numbers are served, and texts (BYTES)"),
        ((TensorSpec("x", "FP32", (-1, 2), ("a", "a")),), SIGNATURE.outputs, "names the input column 'a' twice"),
    ],
)
def test_what_cannot_be_served_is_refused(
    inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], text: str
) -> None:
    check(when=Create("flights", "dev", replace(V1, signature=Signature(inputs, outputs))), refused=text)


def test_columns_get_names_where_the_signature_has_none() -> None:
    inputs = (TensorSpec("x", "FP32", (-1, 2)), TensorSpec("y", "FP32", (-1,)), TensorSpec("z", "FP32", (-1, 1)))
    assert Signature(inputs).features == ("x[0]", "x[1]", "y", "z")


def test_traffic_is_split() -> None:
    made = check(
        given=[CREATED],
        when=split((V1, 90), (V2, 10), reason="canary"),
        then=[traffic(("1.0.0", 90), ("1.1.0", 10), reason="canary")],
    )
    assert [(v.version, v.percent) for v in made.variants] == [("1.0.0", 90), ("1.1.0", 10)]
    check(given=[CREATED, traffic(("1.1.0", 100))], when=split((V2, 100)), then=[])


@pytest.mark.parametrize(
    ("command", "error", "text", "field"),
    [
        (split(), Invalid, "is empty; name at least one version", "shares"),
        (split((V1, 50), (V2, 49)), Invalid, "add up to 99 percent; they must add up to 100", "shares"),
        (split((V1, 99.998)), Invalid, "add up to 99.998 percent", "shares"),
        (split((V1, -1), (V2, 101)), Invalid, "is -1; it must be from 0 to 100", "shares[0].percent"),
        (split((V1, float("nan"))), Invalid, "is nan; it must be from 0 to 100", "shares[0].percent"),
        (split((V1, 50), (V1, 50)), Invalid, "1.0.0 is named twice", "shares[1].version"),
        (split((V1, 50), (replace(V2, approved=False), 50)), NotAllowed, "shares[1].version: flight-delay 1.1.0", ""),
    ],
)
def test_a_wrong_split_is_refused(command: SetTraffic, error: type[ModelogError], text: str, field: str) -> None:
    check(given=[CREATED], when=command, refused=text, error=error, field=field)


def test_a_split_may_miss_a_hundred_by_a_thousandth() -> None:
    check(
        given=[CREATED],
        when=split((V1, 66.6667), (V2, 33.3334)),
        then=[traffic(("1.0.0", 66.6667), ("1.1.0", 33.3334))],
    )


@pytest.mark.parametrize(
    ("columns", "output", "text"),
    [
        (("hour",), "late", "it does not take the input column 'wind'"),
        (("hour", "wind", "rain"), "late", "it takes another input column, 'rain'"),
        (("wind", "hour"), "late", "it takes the input columns in another order"),
        (("hour", "wind"), "early", "its outputs are early FP32[1] instead of late FP32[1]"),
    ],
)
def test_a_version_with_another_signature_cannot_answer(columns: tuple[str, ...], output: str, text: str) -> None:
    inputs = (TensorSpec("features", "FP32", (-1, len(columns)), columns),)
    other = replace(V2, signature=Signature(inputs, (TensorSpec(output, "FP32", (-1,)),)))
    check(given=[CREATED], when=split((V1, 90), (other, 10)), refused=text, error=NotAllowed)


def test_stopping() -> None:
    stop = Stop("flights", "over")
    assert check(given=[CREATED], when=stop, then=[STOPPED]).status == "stopped"
    check(given=[CREATED, STOPPED], when=stop, then=[])
    check(when=stop, refused="there is no deployment 'flights'", error=NotFound)
    check(when=split((V1, 100)), refused="there is no deployment 'flights'", error=NotFound)
    check(given=[CREATED, STOPPED], when=split((V1, 100)), refused="was stopped; its traffic", error=NotAllowed)


def scaled(scaling: Scaling, reason: str = "") -> ScalingSet:
    return ScalingSet(ID, "flights", "flight-delay", scaling, reason, "alice", NOW)


def test_scaling_is_set_and_setting_it_twice_is_once() -> None:
    wanted = Scaling(2, 8, target_concurrency=4.5, scale_to_zero=True)
    made = check(given=[CREATED], when=SetScaling("flights", wanted, "rush"), then=[scaled(wanted, "rush")])
    assert made.scaling == wanted
    check(given=[CREATED, scaled(wanted)], when=SetScaling("flights", wanted, "again"), then=[])


@pytest.mark.parametrize(
    ("scaling", "refused"),
    [
        (Scaling(0, 1), "scaling.min_replicas: is 0; it must be from 1 to 1000; with scale_to_zero none is left"),
        (Scaling(3, 2), "scaling.max_replicas: is 2; it must be from 3 to 1000"),
        (Scaling(1, 2), "scaling.target_concurrency: is not given, nor is target_latency_ms"),
        (Scaling(1, 2, target_latency_ms=-1), "scaling.target_latency_ms: is -1; it must be 0, for none, or more"),
        (Scaling(1, 1, gpus=17), "scaling.gpus: is 17; it must be from 0 to 16, for each replica"),
        (Scaling(1, 1, down_cooldown_s=3601), "scaling.down_cooldown_s: is 3601; it must be from 0 to 3600"),
    ],
)
def test_scaling_that_cannot_be_is_refused(scaling: Scaling, refused: str) -> None:
    check(given=[CREATED], when=SetScaling("flights", scaling), refused=refused, error=Invalid)


def test_a_stopped_or_unknown_deployment_is_not_scaled() -> None:
    command = SetScaling("flights", Scaling())
    check(given=[CREATED, STOPPED], when=command, refused="its scaling cannot be set any more", error=NotAllowed)
    check(when=command, refused="there is no deployment 'flights'", error=NotFound)


def cached(ttl_s: int, max_bytes: int, reason: str = "") -> CachingSet:
    return CachingSet(ID, "flights", "flight-delay", ttl_s, max_bytes, reason, "alice", NOW)


def test_a_cache_is_set_once_and_turned_off() -> None:
    on, off = SetCaching("flights", 60, 1 << 20, "same flights"), SetCaching("flights", 0, 1 << 20)
    made = check(given=[CREATED], when=on, then=[cached(60, 1 << 20, "same flights")])
    assert made.caching == Caching(60, 1 << 20, NOW)
    check(given=[CREATED, cached(60, 1 << 20)], when=on, then=[])
    check(given=[CREATED, cached(60, 1 << 20)], when=SetCaching("flights", 60, 1 << 21), then=[cached(60, 1 << 21)])
    assert check(given=[CREATED, cached(60, 1 << 20)], when=off, then=[cached(0, 0)]).caching is None
    check(given=[CREATED], when=off, then=[])
    check(given=[CREATED, cached(60, 1 << 20), cached(0, 0)], when=off, then=[])


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        (SetCaching("flights", -1, 1 << 20), "ttl_s: is -1; it must be from 0, for no cache, to 2592000"),
        (SetCaching("flights", 2_592_001, 1 << 20), "ttl_s: is 2592001; it must be from 0"),
        (SetCaching("flights", 1, 1000), "max_bytes: is 1000; it must be from 65536 to 1073741824"),
        (SetCaching("flights", 1, 1 << 31), "max_bytes: is 2147483648; it must be from 65536 to 1073741824"),
    ],
)
def test_a_cache_that_cannot_be_is_refused(command: SetCaching, refused: str) -> None:
    check(given=[CREATED], when=command, refused=refused, error=Invalid)


def test_a_stopped_or_unknown_deployment_gets_no_cache() -> None:
    command = SetCaching("flights", 60, 1 << 20)
    check(given=[CREATED, STOPPED], when=command, refused="its cache cannot be set any more", error=NotAllowed)
    check(when=command, refused="there is no deployment 'flights'", error=NotFound)


def test_what_is_seen_of_replicas_is_kept_when_it_is_new() -> None:
    seen = SeeReplicas("flights", "kubernetes", 3, 1, ("2 pods: Unschedulable",))
    told = ReplicasChanged(ID, "flights", "kubernetes", 3, 1, ("2 pods: Unschedulable",), NOW)
    made = check(given=[CREATED], when=seen, then=[told])
    assert (made.replicas.wanted, made.replicas.ready, made.updated_at) == (3, 1, NOW)
    check(given=[CREATED, told], when=seen, then=[])
    check(given=[CREATED, STOPPED], when=seen, then=[])
