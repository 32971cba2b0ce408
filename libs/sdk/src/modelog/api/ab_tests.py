"""A/B tests of two versions of a deployment on the outcomes of their predictions."""

from __future__ import annotations

from typing import List, Optional

from modelog.ab_test import AbLook, AbTest
from modelog.transport import Transport
from modelog.types import Record

PATH = "/api/v1/ab-tests"


class _Tests(Record):
    tests: List[AbTest] = []
    next_page_token: str = ""


class _Looks(Record):
    looks: List[AbLook] = []
    next_page_token: str = ""


class AbTests:
    """Planned, running and ended tests."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        deployment: str,
        a: str,
        b: str,
        *,
        min_effect: float,
        metric: str = "error",
        baseline: float = 0.0,
        sd: float = 0.0,
        threshold: float = 0.0,
        higher_is_better: bool = False,
        alpha: float = 0.0,
        power: float = 0.0,
        method: str = "",
        allowed_lateness_s: float = 0.0,
        lowest: Optional[float] = None,
        highest: Optional[float] = None,
        longest_s: float = 0.0,
        measure_s: float = 0.0,
    ) -> AbTest:
        """Plan a test of version b against a; its `needed` says how many predictions it takes.

        `metric` is error, squared_error, log_loss or outcome, which are of labels, or amount or absolute_error, of
        amounts; `min_effect` the smallest difference of its means that matters. The error rate and the outcome need
        `baseline`, the mean of a as far as it is known, the others `sd`; `measure_s` has both measured, over the last
        so many seconds of predictions of a. `method` is mixture_sprt, confidence_sequence (which amounts take where
        none is named) or exact, for amounts with their `lowest` and `highest`. After `longest_s` the test ends with
        what it has. 0 means 0.5 for `threshold`, 0.05 for `alpha`, 0.8 for `power`, and no limit for `longest_s`.
        """
        body = {
            "name": name,
            "deployment": deployment,
            "a": a,
            "b": b,
            "metric": f"AB_METRIC_{metric.upper()}",
            "threshold": threshold,
            "higher_is_better": higher_is_better,
            "min_effect": min_effect,
            "alpha": alpha,
            "power": power,
            "baseline": baseline,
            "sd": sd,
            "method": f"AB_METHOD_{(method or 'unspecified').upper()}",
            "allowed_lateness_s": allowed_lateness_s,
            "longest_s": longest_s,
            "measure_s": measure_s,
            **{name: end for name, end in (("lowest", lowest), ("highest", highest)) if end is not None},
        }
        return self._transport.post(PATH, AbTest, body)

    def start(self, name: str) -> AbTest:
        """Count predictions from now on; both versions must have traffic."""
        return self._transport.post(f"{PATH}/{name}/start", AbTest, {})

    def stop(self, name: str, reason: str = "") -> AbTest:
        """End it without a decision."""
        return self._transport.post(f"{PATH}/{name}/stop", AbTest, {"reason": reason})

    def get(self, name: str, *, as_of: Optional[str] = None) -> AbTest:
        return self._transport.get(f"{PATH}/{name}", AbTest, as_of=as_of)

    def list(self, deployment: Optional[str] = None, *, as_of: Optional[str] = None) -> List[AbTest]:
        """Tests of a deployment, or all, by name."""
        return self._transport.every(PATH, _Tests, lambda page: page.tests, deployment=deployment, as_of=as_of)

    def looks(self, name: str, *, as_of: Optional[str] = None) -> List[AbLook]:
        """What the test said at each look, oldest first: the confidence sequence."""
        return self._transport.every(f"{PATH}/{name}/looks", _Looks, lambda page: page.looks, as_of=as_of)
