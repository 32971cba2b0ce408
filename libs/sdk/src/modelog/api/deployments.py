"""Deployments, their traffic and their predictions."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from modelog.replay import Replayed, ReplayReport
from modelog.transport import Transport
from modelog.types import Deployment, Prediction, Record
from modelog.types.serving import Breaker, DeploymentLatencies, ReplayPage, Retries


class _Deployments(Record):
    deployments: List[Deployment] = []
    next_page_token: str = ""


class _Manifests(Record):
    manifests: str = ""


class Deployments:
    """What is served."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, model: str, version: str, environment: str = "production") -> Deployment:
        """Serve a version under a name, in dev, staging or production."""
        body = {
            "name": name,
            "model": model,
            "version": version,
            "environment": f"DEPLOYMENT_ENVIRONMENT_{environment.upper()}",
        }
        return self._transport.post("/api/v1/deployments", Deployment, body)

    def get(self, name: str, *, as_of: Optional[str] = None) -> Deployment:
        return self._transport.get(f"/api/v1/deployments/{name}", Deployment, as_of=as_of)

    def list(self, *, as_of: Optional[str] = None) -> List[Deployment]:
        """All deployments, by name."""
        return self._transport.every("/api/v1/deployments", _Deployments, lambda page: page.deployments, as_of=as_of)

    def set_traffic(self, name: str, shares: Mapping[str, float], reason: str = "") -> Deployment:
        """Split the traffic: version -> percent, together 100."""
        body = {"shares": [{"version": v, "percent": p} for v, p in shares.items()], "reason": reason}
        return self._transport.post(f"/api/v1/deployments/{name}/traffic", Deployment, body)

    def roll_back(self, name: str, version: str = "", reason: str = "") -> Deployment:
        """Give all of the traffic to a version that answered before; without one to the last that had all of it."""
        body = {"version": version, "reason": reason}
        return self._transport.post(f"/api/v1/deployments/{name}/rollback", Deployment, body)

    def set_scaling(
        self,
        name: str,
        *,
        min_replicas: int = 1,
        max_replicas: int = 1,
        target_concurrency: float = 0.0,
        target_latency_ms: float = 0.0,
        up_cooldown_s: int = 0,
        down_cooldown_s: int = 300,
        scale_to_zero: bool = False,
        idle_s: int = 300,
        gpus: int = 0,
        reason: str = "",
    ) -> Deployment:
        """Let the deployment have so many replicas, by the requests under way in each or the time to an answer.

        In Kubernetes each has `gpus` GPUs for itself.
        """
        scaling = {
            "min_replicas": min_replicas,
            "max_replicas": max_replicas,
            "target_concurrency": target_concurrency,
            "target_latency_ms": target_latency_ms,
            "up_cooldown_s": up_cooldown_s,
            "down_cooldown_s": down_cooldown_s,
            "scale_to_zero": scale_to_zero,
            "idle_s": idle_s,
            "gpus": gpus,
        }
        body = {"scaling": scaling, "reason": reason}
        return self._transport.post(f"/api/v1/deployments/{name}/scaling", Deployment, body)

    def set_caching(self, name: str, ttl_s: int, *, max_bytes: int = 0, reason: str = "") -> Deployment:
        """Give an answer again to the same rows for `ttl_s`, 0 for never; `max_bytes` is 64 MiB unless told."""
        body = {"ttl_s": ttl_s, "max_bytes": max_bytes, "reason": reason}
        return self._transport.post(f"/api/v1/deployments/{name}/caching", Deployment, body)

    def set_resilience(
        self,
        name: str,
        *,
        breaker: Optional[Breaker] = None,
        retries: Optional[Retries] = None,
        timeout_ms: int = 0,
        fallback_version: str = "",
        default_answer: Optional[Mapping[str, Sequence[float]]] = None,
        reason: str = "",
    ) -> Deployment:
        """Do this when a version fails; `default_answer` gives each output's numbers for one row. Nothing turns it off.

        An attempt may take `timeout_ms`, 0 for any time.
        """
        outputs = [{"output": output, "values": list(values)} for output, values in (default_answer or {}).items()]
        wanted: Dict[str, Any] = {"timeout_ms": timeout_ms} if timeout_ms else {}
        if breaker is not None:
            wanted["breaker"] = breaker.to_dict()
        if retries is not None:
            wanted["retries"] = retries.to_dict()
        if fallback_version or outputs:
            wanted["fallback"] = {"version": fallback_version, "outputs": outputs}
        body = {"resilience": wanted, "reason": reason} if wanted else {"reason": reason}
        return self._transport.post(f"/api/v1/deployments/{name}/resilience", Deployment, body)

    def latencies(self, name: str, *, minutes: int = 60, as_of: Optional[str] = None) -> DeploymentLatencies:
        """How long answers of the last `minutes` took, by version, and how many requests had none."""
        path = f"/api/v1/deployments/{name}/latencies"
        return self._transport.get(path, DeploymentLatencies, minutes=minutes, as_of=as_of)

    def export(self, name: str, format: str = "kubernetes", *, as_of: Optional[str] = None) -> str:
        """The deployment as YAML that Kubernetes takes: of its own kinds ("kubernetes"), or KServe's ("kserve")."""
        path, wanted = f"/api/v1/deployments/{name}/manifests", f"MANIFEST_FORMAT_{format.upper()}"
        return self._transport.get(path, _Manifests, format=wanted, as_of=as_of).manifests

    def stop(self, name: str, reason: str = "") -> Deployment:
        return self._transport.post(f"/api/v1/deployments/{name}/stop", Deployment, {"reason": reason})

    def prediction(self, deployment: str, prediction_id: str, *, as_of: Optional[str] = None) -> Prediction:
        """One answered request from the prediction log; NotFound as of a moment before it was answered."""
        path = f"/api/v1/deployments/{deployment}/predictions/{prediction_id}"
        return self._transport.get(path, Prediction, as_of=as_of)

    def replay(
        self,
        deployment: str,
        candidate: str = "",
        *,
        since: Optional[str] = None,
        until: Optional[str] = None,
        slice: Optional[str] = None,
        tolerance: float = 0.0,
        progress: Callable[[int, float], object] = lambda _answers, _share: None,
    ) -> ReplayReport:
        """Send logged requests through a version again, and tell how far its answers are from those that were given.

        Without a candidate the versions that answered do it again. `since` and `until` are RFC 3339 times; `slice` is a
        feature by whose values, or tenths, the differences are told; an answer has changed when its outputs are further
        than `tolerance` from the logged ones. `progress` hears how many answers were replayed, and of which share of
        the log.
        """
        self._transport.present("replaying")
        gathered, after = Replayed(deployment, candidate, slice or "", tolerance), 0
        while True:
            page = self._transport.get(
                f"/api/v1/deployments/{deployment}/replay",
                ReplayPage,
                candidate=candidate or None,
                since=since,
                until=until,
                slice=slice,
                after=after,
            )
            gathered.add(page)
            progress(len(gathered.distances), page.next_after / page.last if page.next_after else 1.0)
            if not page.next_after:
                return gathered.report()
            after = page.next_after
