"""What a deployment does when a version fails: what may be set, and what is refused in which words."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from modelog_common.domain.errors import Invalid, ModelogError, NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, scenario
from modelog_serving.deployment.commands import Candidate, SetResilience
from modelog_serving.deployment.decide import DEPLOYMENTS, deployment_id
from modelog_serving.deployment.events import DeploymentCreated, DeploymentStopped, ResilienceSet
from modelog_serving.deployment.resilience import (
    Breaker,
    DefaultOutput,
    Fallback,
    Resilience,
    Retries,
    check_outputs,
    digest_of,
)
from modelog_serving.deployment.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("features", "FP32", (-1, 2), ("hour", "wind"), ("numeric", "numeric")),),
    (TensorSpec("late", "FP32", (-1,)), TensorSpec("gate", "INT8", (-1, 2))),
)
V2 = Candidate("flight-delay", "1.1.0", "b" * 64, "xgboost", SIGNATURE, "staging", True)
ID = deployment_id("acme", "flights")
CREATED = DeploymentCreated(
    ID, "flights", "flight-delay", "production", "alice", "1.0.0", "a" * 64, "xgboost", SIGNATURE, NOW
)
LATE, GATE = DefaultOutput("late", (0.25,)), DefaultOutput("gate", (1.0, -2.0))
WHOLE = Resilience(Breaker(), Retries(), 250, Fallback("1.1.0", "b" * 64, "xgboost", (LATE, GATE), ""))


def done(resilience: Resilience | None, reason: str = "") -> ResilienceSet:
    return ResilienceSet(ID, "flights", "flight-delay", resilience, reason, "alice", NOW)


def check(**story: Any) -> Any:
    return scenario(DEPLOYMENTS, **story)


def test_it_is_set_once_with_the_file_and_the_digest_of_what_answers_instead_and_turned_off() -> None:
    asked = msgspec.structs.replace(WHOLE, fallback=Fallback("1.1.0", outputs=(GATE, LATE)))
    told = b'[["late",[0.25]],["gate",[1.0,-2.0]]]'
    kept = Fallback("1.1.0", "b" * 64, "xgboost", (LATE, GATE), hashlib.sha256(told).hexdigest())
    event = done(msgspec.structs.replace(WHOLE, fallback=kept), "it crashed")
    made = check(given=[CREATED], when=SetResilience("flights", asked, V2, "it crashed"), then=[event])
    assert made.resilience == event.resilience
    assert made.resilience.fallback.default_row == (0.25, 1.0, -2.0)
    check(given=[CREATED, event], when=SetResilience("flights", asked, V2), then=[])
    assert check(given=[CREATED, event], when=SetResilience("flights", None), then=[done(None)]).resilience is None
    check(given=[CREATED], when=SetResilience("flights", None), then=[])


def fallback(*outputs: DefaultOutput) -> Resilience:
    return Resilience(fallback=Fallback(outputs=outputs))


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        (Resilience(), "resilience: names nothing; give a breaker, retries, timeout_ms or a fallback"),
        (Resilience(timeout_ms=-1), "resilience.timeout_ms: is -1; it must be from 0 to 600000, 0 for none"),
        (Resilience(Breaker(0.0)), "resilience.breaker.failure_share: is 0; it must be above 0, and 1 at most"),
        (Resilience(Breaker(1.5)), "resilience.breaker.failure_share: is 1.5"),
        (Resilience(Breaker(window_s=0)), "resilience.breaker.window_s: is 0; it must be from 1 to 3600"),
        (Resilience(Breaker(min_requests=0)), "resilience.breaker.min_requests: is 0"),
        (Resilience(Breaker(open_s=3601)), "resilience.breaker.open_s: is 3601"),
        (Resilience(Breaker(probes=101)), "resilience.breaker.probes: is 101; it must be from 1 to 100"),
        (Resilience(retries=Retries(1)), "resilience.retries.attempts: is 1; it must be from 2 to 5, with the first"),
        (Resilience(retries=Retries(2, 1.1)), "resilience.retries.budget: is 1.1; it must be from 0 to 1, a share"),
        (Resilience(retries=Retries(2, 0.1, -1)), "resilience.retries.least: is -1"),
        (fallback(), "resilience.fallback: is empty; give a version, or the outputs of a default answer"),
        (fallback(LATE), "resilience.fallback.outputs: lacks 'gate'; expected are late, gate"),
        (fallback(LATE, LATE), r"resilience.fallback.outputs[1].output: 'late' is given twice"),
        (fallback(DefaultOutput("soon", ())), "resilience.fallback.outputs[0].output: 'soon' is no output; there is"),
        (fallback(DefaultOutput("gate", (1.0,))), "outputs[0].values: has 1 values; a row of 'gate' has 2"),
        (fallback(DefaultOutput("gate", (1.0, 0.5))), "holds 0.5; INT8 takes whole numbers from -128 to 127"),
        (fallback(DefaultOutput("gate", (1.0, 128.0))), "holds 128; INT8 takes whole numbers from -128 to 127"),
        (fallback(DefaultOutput("late", (float("nan"),))), "holds nan; it must hold finite numbers"),
        (fallback(DefaultOutput("late", (1e39,))), "holds 1e+39, which is more than FP32 holds"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_the_field(wanted: Resilience, refused: str) -> None:
    check(given=[CREATED], when=SetResilience("flights", wanted), refused=refused, error=Invalid)


@pytest.mark.parametrize(
    ("candidate", "refused"),
    [
        (replace(V2, approved=False), "1.1.0 is not approved; a production deployment needs an approved version"),
        (replace(V2, stage="archived"), "1.1.0 is in stage archived"),
        (replace(V2, signature=Signature(SIGNATURE.inputs, SIGNATURE.outputs[:1])), "cannot answer instead in flights"),
    ],
)
def test_a_version_that_may_not_answer_does_not_answer_instead(candidate: Candidate, refused: str) -> None:
    command = SetResilience("flights", Resilience(fallback=Fallback("1.1.0")), candidate)
    check(given=[CREATED], when=command, refused=refused, error=NotAllowed)
    check(given=[CREATED], when=command, refused="resilience.fallback.version: ", error=NotAllowed)


@pytest.mark.parametrize(
    ("given", "refused", "error"),
    [
        ([], "there is no deployment 'flights'", NotFound),
        ([CREATED, DeploymentStopped(ID, "flights", "alice", "", NOW)], "its resilience cannot be set", NotAllowed),
    ],
)
def test_a_stopped_or_unknown_deployment_gets_none(given: list[Any], refused: str, error: type[ModelogError]) -> None:
    check(given=given, when=SetResilience("flights", WHOLE, V2), refused=refused, error=error)


@pytest.mark.parametrize(("datatype", "least", "most"), [("UINT8", 0, 255), ("BOOL", 0, 1), ("INT64", -(2**53), 2**53)])
def test_whole_numbers_are_held_to_their_datatype(datatype: str, least: int, most: int) -> None:
    signature = Signature(SIGNATURE.inputs, (TensorSpec("n", datatype, (-1,)),))
    for value in (least, most):
        made = check_outputs([DefaultOutput("n", (value,))], signature)
        assert digest_of(made) == hashlib.sha256(f'[["n",[{float(value)!r}]]]'.encode()).hexdigest()
    for value in (least - 1, 2 * most + 1):
        with pytest.raises(Invalid, match=f"{datatype} takes whole numbers from {least} to {most}"):
            check_outputs([DefaultOutput("n", (value,))], signature)


def test_a_default_answer_has_no_texts() -> None:
    signature = Signature(SIGNATURE.inputs, (TensorSpec("label", "BYTES", (-1,)),))
    with pytest.raises(Invalid, match=r"outputs\[0\].values: 'label' is of texts; a default answer is of numbers"):
        check_outputs([DefaultOutput("label", (1.0,))], signature)
