"""Releases: a version takes over a deployment's traffic, and evidence decides how far it comes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from modelog.release import Release, ReleaseLook
from modelog.transport import Transport
from modelog.types import Record

PATH = "/api/v1/releases"


class _Releases(Record):
    releases: List[Release] = []
    next_page_token: str = ""


class _Looks(Record):
    looks: List[ReleaseLook] = []
    next_page_token: str = ""


class Releases:
    """Running and ended releases."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def start(
        self,
        deployment: str,
        version: str,
        pattern: str = "canary",
        *,
        steps: Sequence[float] = (),
        alpha: float = 0.0,
        error_margin: Optional[float] = None,
        latency_margin: Optional[float] = None,
        latency_limit_ms: float = 0.0,
        outcome: Optional[Dict[str, Any]] = None,
        step_s: float = 0.0,
        step_requests: int = 0,
        longest_s: float = 0.0,
        reason: str = "",
    ) -> Release:
        """Begin to give a version the traffic: canary, blue_green, rolling or shadow.

        The margins say how much higher the candidate's share of failed requests, and of answers slower than the limit,
        may be. `outcome` has the fields of `modelog.release.ReleaseOutcome`, with metric and method as those of A/B
        tests and `criterion` superior or non_inferior. A step takes at least `step_s` and `step_requests` requests
        of the candidate; a release that is undecided after `longest_s` is rolled back. 0 means what is usual.
        """
        plan: Dict[str, Any] = {
            "pattern": f"RELEASE_PATTERN_{pattern.replace('-', '_').upper()}",
            "steps": list(steps),
            "alpha": alpha,
            "latency_limit_ms": latency_limit_ms,
            "step_s": step_s,
            "step_requests": step_requests,
            "longest_s": longest_s,
        }
        plan.update({
            name: margin
            for name, margin in (("error_margin", error_margin), ("latency_margin", latency_margin))
            if margin is not None
        })  # fmt: skip
        if outcome is not None:
            plan["outcome"] = _outcome(outcome)
        body = {"deployment": deployment, "version": version, "plan": plan, "reason": reason}
        return self._transport.post(PATH, Release, body)

    def stop(self, deployment: str, reason: str = "") -> Release:
        """End the running release without a decision; the traffic stays as it is."""
        return self._transport.post(f"{PATH}/{deployment}/stop", Release, {"reason": reason})

    def get(self, deployment: str, number: int = 0, *, as_of: Optional[str] = None) -> Release:
        """A release of a deployment, without a number the last one."""
        return self._transport.get(f"{PATH}/{deployment}", Release, number=number or None, as_of=as_of)

    def list(self, deployment: Optional[str] = None, *, as_of: Optional[str] = None) -> List[Release]:
        """Releases to a deployment, or all; the newest first."""
        return self._transport.every(PATH, _Releases, lambda page: page.releases, deployment=deployment, as_of=as_of)

    def looks(self, deployment: str, number: int = 0, *, as_of: Optional[str] = None) -> List[ReleaseLook]:
        """What was known when, and what followed from it, oldest first."""
        path = f"{PATH}/{deployment}/looks"
        return self._transport.every(path, _Looks, lambda page: page.looks, number=number or None, as_of=as_of)


def _outcome(given: Dict[str, Any]) -> Dict[str, Any]:
    prefixes = {"metric": "AB_METRIC_", "method": "AB_METHOD_", "criterion": "RELEASE_CRITERION_"}
    return {
        name: f"{prefixes[name]}{value.upper()}" if name in prefixes else value
        for name, value in given.items()
        if value != ""
    }
