"""Explanations as requests ask for them and as responses carry them: parameters, and tensors beside the outputs."""

from __future__ import annotations

import math

import numpy as np
from modelog_common.domain.errors import Invalid

from modelog_serving.engine.explain import MOST_SAMPLES, SAMPLED, SHAP, Explanation, Numbers, Wanted
from modelog_serving.oip.tensors import Tensor


def wanted_of(explain: str, samples: int, seed: int, baseline: str) -> Wanted | None:
    """What the parameters ask for; None when they ask for nothing. Raises Invalid, naming the parameter."""
    others = (("explain_samples", samples), ("explain_seed", seed), ("explain_baseline", baseline))
    if not explain:
        given = next((name for name, value in others if value), "")
        if given:
            raise Invalid.field(f"parameters.{given}", f"is given without explain; add explain={SHAP!r}")
        return None
    if explain != SHAP:
        raise Invalid.field("parameters.explain", f"{explain!r} is not known; it must be {SHAP!r}")
    if not 0 <= samples <= MOST_SAMPLES:
        raise Invalid.field("parameters.explain_samples", f"is {samples}; it must be from 1 to {MOST_SAMPLES}")
    if seed < 0:
        raise Invalid.field("parameters.explain_seed", f"is {seed}; it must not be negative")
    return Wanted(samples or Wanted.samples, seed, _baseline(baseline))


def _baseline(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        numbers = (math.inf,)
    if any(math.isinf(number) for number in numbers):
        raise Invalid.field(
            "parameters.explain_baseline", f"{text[:60]!r} must be finite numbers or nan, separated by commas"
        )
    return numbers


def tensors_of(explanation: Explanation | None) -> list[Tensor]:
    """`explain.contributions` [rows, outputs, features], `explain.base` [rows, outputs], and where contributions were
    sampled `explain.error`, their standard errors."""
    if explanation is None:
        return []
    found = [_tensor("contributions", explanation.contributions), _tensor("base", explanation.base)]
    if explanation.method == SAMPLED and explanation.error is not None:
        found.append(_tensor("error", explanation.error))
    return found


def parameters_of(explanation: Explanation | None) -> dict[str, str]:
    """How it was found: the method, what contributions and base add up to, and from how many orders of the features."""
    if explanation is None:
        return {}
    told = {"explain_method": explanation.method, "explain_of": explanation.of}
    return told | ({"explain_samples": str(explanation.samples)} if explanation.samples else {})


def _tensor(name: str, values: Numbers) -> Tensor:
    return Tensor(f"explain.{name}", "FP64", values.shape, np.ascontiguousarray(values, "<f8").reshape(-1))
