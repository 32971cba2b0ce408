"""Deployments, their traffic and their predictions."""

from __future__ import annotations

from typing import List, Mapping, Optional

from modelog.transport import Transport
from modelog.types import Deployment, Prediction, Record


class _Deployments(Record):
    deployments: List[Deployment] = []
    next_page_token: str = ""


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

    def stop(self, name: str, reason: str = "") -> Deployment:
        return self._transport.post(f"/api/v1/deployments/{name}/stop", Deployment, {"reason": reason})

    def prediction(self, deployment: str, prediction_id: str, *, as_of: Optional[str] = None) -> Prediction:
        """One answered request from the prediction log; NotFound as of a moment before it was answered."""
        path = f"/api/v1/deployments/{deployment}/predictions/{prediction_id}"
        return self._transport.get(path, Prediction, as_of=as_of)
