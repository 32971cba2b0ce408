"""Models, versions, reviews and stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from modelog.api.datasets import Artifacts
from modelog.transport import Transport
from modelog.types import Artifact, DatasetRef, Model, ModelVersion, Record, Signature

STAGES = ("development", "staging", "production", "archived")


class _Models(Record):
    models: List[Model] = []
    next_page_token: str = ""


class Models:
    """The model registry."""

    def __init__(self, transport: Transport, artifacts: Artifacts) -> None:
        self._transport, self._artifacts = transport, artifacts

    def create(self, name: str, description: str = "", tags: Optional[Mapping[str, str]] = None) -> Model:
        """Give a model its name. Raises AlreadyExists when it is taken by another."""
        body = {"name": name, "description": description, "tags": dict(tags or {})}
        return self._transport.post("/api/v1/models", Model, body)

    def get(self, name: str, *, as_of: Optional[str] = None, at_least: Optional[int] = None) -> Model:
        """A model with its versions; `as_of` is a position or an RFC 3339 time."""
        return self._transport.get(f"/api/v1/models/{name}", Model, as_of=as_of, at_least=at_least)

    def list(self, *, as_of: Optional[str] = None) -> List[Model]:
        """All models, by name."""
        found: List[Model] = []
        token = None
        while True:
            page = self._transport.get("/api/v1/models", _Models, as_of=as_of, page_token=token, page_size=1000)
            found += page.models
            token = page.next_page_token
            if not token:
                return found

    def version(self, model: str, version: str, *, as_of: Optional[str] = None) -> ModelVersion:
        """One version."""
        return self._transport.get(f"/api/v1/models/{model}/versions/{version}", ModelVersion, as_of=as_of)

    def register(
        self,
        model: str,
        artifact: Artifact,
        *,
        flavor: str,
        signature: Signature,
        version: str = "",
        run_id: str = "",
        datasets: Sequence[DatasetRef] = (),
        metrics: Optional[Mapping[str, float]] = None,
        description: str = "",
        tags: Optional[Mapping[str, str]] = None,
    ) -> ModelVersion:
        """Add a version in stage development; without `version` it is the next minor one."""
        body: Dict[str, Any] = {
            "version": version,
            "artifact": artifact,
            "flavor": flavor,
            "signature": signature,
            "run_id": run_id,
            "datasets": list(datasets),
            "metrics": dict(metrics or {}),
            "description": description,
            "tags": dict(tags or {}),
        }
        return self._transport.post(f"/api/v1/models/{model}/versions", ModelVersion, body)

    def approve(
        self, model: str, version: str, comment: str, evidence: Optional[Mapping[str, Any]] = None
    ) -> ModelVersion:
        """Approve somebody else's version. Raises NotAllowed for one's own."""
        return self._review(model, version, "REVIEW_DECISION_APPROVED", comment, evidence)

    def reject(
        self, model: str, version: str, comment: str, evidence: Optional[Mapping[str, Any]] = None
    ) -> ModelVersion:
        """Reject somebody else's version."""
        return self._review(model, version, "REVIEW_DECISION_REJECTED", comment, evidence)

    def _review(
        self, model: str, version: str, decision: str, comment: str, evidence: Optional[Mapping[str, Any]]
    ) -> ModelVersion:
        body = {"decision": decision, "comment": comment, "evidence": dict(evidence) if evidence else None}
        return self._transport.post(f"/api/v1/models/{model}/versions/{version}/reviews", ModelVersion, body)

    def promote(self, model: str, version: str, stage: str, reason: str = "") -> ModelVersion:
        """Move a version to development, staging, production or archived."""
        body = {"stage": f"STAGE_{stage.upper()}", "reason": reason}
        return self._transport.post(f"/api/v1/models/{model}/versions/{version}/promotions", ModelVersion, body)

    def download(self, model: str, version: str, folder: Path) -> Path:
        """Fetch a version's file into `folder` (its digest is checked); returns the path."""
        found = self.version(model, version)
        if found.artifact is None:
            raise ValueError(f"{model} {version} has no file")
        return self._artifacts.download(found.artifact.digest, Path(folder) / Path(found.artifact.path).name)
