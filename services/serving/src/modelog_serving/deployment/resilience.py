"""What a deployment does when a version fails: circuit breakers, retries, and what answers instead. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence

import msgspec
from modelog_common.domain.errors import Invalid

from modelog_serving.deployment.signature import TEXT, Signature, TensorSpec

# Stands where the prediction log names the version that answered; no version can be called so.
DEFAULT_ANSWER = "default"
LONGEST_S = 3600
MOST_REQUESTS, MOST_ATTEMPTS, MOST_PROBES, LONGEST_TIMEOUT_MS = 1_000_000, 5, 100, 600_000
# Finagle gives retries a fifth of the requests, Envoy too.
USUAL_BUDGET, USUAL_LEAST = 0.2, 3
_RANGES = {"BOOL": (0, 1)} | {
    f"{sign}INT{bits}": ((0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}
_LARGEST = {"FP16": 65504.0, "FP32": 3.4028234663852886e38}
# float64, in which outputs are kept, holds all whole numbers up to this one.
_LARGEST_WHOLE = 2**53


class Breaker(msgspec.Struct, frozen=True):
    """A version is asked no more for `open_s` when `failure_share` of its requests of the last `window_s` failed, of at
    least `min_requests`; then `probes` requests try it, and all of them must be answered."""

    failure_share: float = 0.5
    window_s: int = 30
    min_requests: int = 20
    open_s: int = 30
    probes: int = 3


class Retries(msgspec.Struct, frozen=True):
    """Each request is tried up to `attempts` times; all retries of ten seconds are at most `budget` of the requests of
    that time, of 1, or `least`, whichever is more."""

    attempts: int = 2
    budget: float = USUAL_BUDGET
    least: int = USUAL_LEAST


class DefaultOutput(msgspec.Struct, frozen=True):
    """What one row gets for an output."""

    name: str
    values: tuple[float, ...]


class Fallback(msgspec.Struct, frozen=True):
    """A version, "" for none, and after it the outputs of a default answer; `default_digest` is `digest_of` those."""

    version: str = ""
    model_digest: str = ""
    flavor: str = ""
    outputs: tuple[DefaultOutput, ...] = ()
    default_digest: str = ""

    @property
    def default_row(self) -> tuple[float, ...]:
        """The numbers that one row is answered with by default; none without a default answer."""
        return tuple(value for output in self.outputs for value in output.values)


class Resilience(msgspec.Struct, frozen=True):
    """An attempt that takes longer than `timeout_ms`, 0 for any time, counts as failed."""

    breaker: Breaker | None = None
    retries: Retries | None = None
    timeout_ms: int = 0
    fallback: Fallback | None = None


def digest_of(outputs: Sequence[DefaultOutput]) -> str:
    """The SHA-256 of a default answer: of [[name, [value, ...]], ...] as JSON without spaces. Proofs check it."""
    told = [[output.name, [float(value) for value in output.values]] for output in outputs]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def check_resilience(resilience: Resilience) -> None:
    """Raise Invalid, naming the field, for what cannot be."""
    if resilience == Resilience():
        raise Invalid.field("resilience", "names nothing; give a breaker, retries, timeout_ms or a fallback")
    _within("timeout_ms", resilience.timeout_ms, 0, LONGEST_TIMEOUT_MS, ", 0 for none")
    if resilience.breaker is not None:
        _check_breaker(resilience.breaker)
    if resilience.retries is not None:
        _within("retries.attempts", resilience.retries.attempts, 2, MOST_ATTEMPTS, ", with the first one")
        _within("retries.budget", resilience.retries.budget, 0, 1, ", a share of the requests")
        _within("retries.least", resilience.retries.least, 0, MOST_REQUESTS, "")
    if resilience.fallback is not None and not (resilience.fallback.version or resilience.fallback.outputs):
        raise Invalid.field("resilience.fallback", "is empty; give a version, or the outputs of a default answer")


def _check_breaker(breaker: Breaker) -> None:
    share = breaker.failure_share
    if not 0 < share <= 1:
        raise Invalid.field("resilience.breaker.failure_share", f"is {share:g}; it must be above 0, and 1 at most")
    _within("breaker.window_s", breaker.window_s, 1, LONGEST_S, "")
    _within("breaker.min_requests", breaker.min_requests, 1, MOST_REQUESTS, "")
    _within("breaker.open_s", breaker.open_s, 1, LONGEST_S, "")
    _within("breaker.probes", breaker.probes, 1, MOST_PROBES, "")


def check_outputs(outputs: Sequence[DefaultOutput], signature: Signature) -> tuple[DefaultOutput, ...]:
    """The outputs in the signature's order; raises Invalid, naming the field, for what is no answer for one row."""
    wanted = {spec.name: spec for spec in signature.outputs}
    given: dict[str, DefaultOutput] = {}
    for number, output in enumerate(outputs):
        field = f"resilience.fallback.outputs[{number}]"
        if output.name not in wanted:
            raise Invalid.field(f"{field}.output", f"{output.name!r} is no output; there is {', '.join(wanted)}")
        if output.name in given:
            raise Invalid.field(f"{field}.output", f"{output.name!r} is given twice")
        _check_values(f"{field}.values", output.values, wanted[output.name])
        given[output.name] = output
    missing = [name for name in wanted if name not in given]
    if missing:
        raise Invalid.field("resilience.fallback.outputs", f"lacks {missing[0]!r}; expected are {', '.join(wanted)}")
    return tuple(DefaultOutput(name, tuple(map(float, given[name].values))) for name in wanted)


def _check_values(field: str, values: Sequence[float], spec: TensorSpec) -> None:
    if spec.datatype == TEXT:
        raise Invalid.field(
            field, f"{spec.name!r} is of texts; a default answer is of numbers, a version may answer instead"
        )
    if len(values) != spec.width:
        raise Invalid.field(field, f"has {len(values)} values; a row of {spec.name!r} has {spec.width}")
    for value in values:
        if not math.isfinite(value):
            raise Invalid.field(field, f"holds {value}; it must hold finite numbers")
        if spec.datatype in _RANGES:
            least, most = _RANGES[spec.datatype]
            least, most = max(least, -_LARGEST_WHOLE), min(most, _LARGEST_WHOLE)
            if value != int(value) or not least <= value <= most:
                raise Invalid.field(
                    field, f"holds {value:g}; {spec.datatype} takes whole numbers from {least} to {most}"
                )
        elif abs(value) > _LARGEST.get(spec.datatype, math.inf):
            raise Invalid.field(field, f"holds {value:g}, which is more than {spec.datatype} holds")


def _within(name: str, value: float, least: float, most: float, why: str) -> None:
    if not least <= value <= most:
        raise Invalid.field(f"resilience.{name}", f"is {value:g}; it must be from {least:g} to {most:g}{why}")
