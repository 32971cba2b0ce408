"""Models that runs made and that nobody has registered yet."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence

import msgspec

from modelog.api.experiments import as_json
from modelog.transport import Transport, pages
from modelog.types import Artifact, Condition, LoggedModel, LoggedModelMetric, MeasuredOn, Order, Record


class _LoggedModels(Record):
    models: List[LoggedModel] = []
    next_page_token: str = ""


class LoggedModels:
    """Logged models."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        experiment_id: str,
        name: str = "",
        *,
        model_type: str = "",
        source_run_id: str = "",
        parameters: Optional[Mapping[str, str]] = None,
        tags: Optional[Mapping[str, str]] = None,
        created_at: Optional[datetime] = None,
        request_id: Optional[str] = None,
    ) -> LoggedModel:
        """Begin a logged model. The same `request_id` again gives the one that it began."""
        body = {
            "experiment_id": experiment_id,
            "name": name,
            "model_type": model_type,
            "source_run_id": source_run_id,
            "parameters": dict(parameters or {}),
            "tags": dict(tags or {}),
            "created_at": created_at,
            "request_id": request_id,
        }
        return self._transport.post("/api/v1/logged-models", LoggedModel, body)

    def get(self, model_id: str, *, as_of: Optional[str] = None) -> LoggedModel:
        """One logged model."""
        return self._transport.get(f"/api/v1/logged-models/{model_id}", LoggedModel, as_of=as_of)

    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        datasets: Sequence[MeasuredOn] = (),
        order_by: Sequence[Order] = (),
        as_of: Optional[str] = None,
    ) -> List[LoggedModel]:
        """Logged models that all conditions hold for, newest first if no order is asked for.

        With `datasets`, conditions on metrics are about those that were measured on one of these.
        """
        plain = [{**msgspec.to_builtins(c), "number": as_json(c.number)} for c in conditions]
        body = {"conditions": plain, "datasets": list(datasets), "order_by": list(order_by)}

        def after(token: str) -> _LoggedModels:
            return self._transport.ask(
                "/api/v1/logged-models/search", _LoggedModels, body, as_of=as_of, page_token=token
            )

        return [model for page in pages(after) for model in page.models]

    def add(
        self,
        model_id: str,
        *,
        parameters: Optional[Mapping[str, str]] = None,
        tags: Optional[Mapping[str, str]] = None,
        metrics: Sequence[LoggedModelMetric] = (),
        artifacts: Sequence[Artifact] = (),
    ) -> LoggedModel:
        """Tell more of it."""
        body: Dict[str, Any] = {
            "parameters": dict(parameters or {}),
            "tags": dict(tags or {}),
            "metrics": [{**msgspec.to_builtins(m), "value": as_json(m.value)} for m in metrics],
            "artifacts": list(artifacts),
        }
        return self._transport.post(f"/api/v1/logged-models/{model_id}/add", LoggedModel, body)

    def remove_artifacts(self, model_id: str, paths: Sequence[str]) -> LoggedModel:
        """Take files or whole folders off it; as of before they are there still."""
        path = f"/api/v1/logged-models/{model_id}/artifacts/remove"
        return self._transport.post(path, LoggedModel, {"paths": list(paths)})

    def finalise(self, model_id: str, status: str = "ready", message: str = "") -> LoggedModel:
        """Say that it is whole (ready), or that it failed."""
        body = {"status": f"LOGGED_MODEL_STATUS_{status.upper()}", "message": message}
        return self._transport.post(f"/api/v1/logged-models/{model_id}/finalise", LoggedModel, body)
