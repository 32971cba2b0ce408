"""What clients of other servers ask: /invocations of `mlflow models serve`, and KServe's protocol of version 1."""

from __future__ import annotations

from modelog_common.domain.errors import NotFound
from modelog_common.edge.http1_answer import Answer

from modelog_serving.deployment.state import STOPPED
from modelog_serving.oip.asked import Request
from modelog_serving.oip.core import Inference
from modelog_serving.oip.invocations import body_of, tensors_in
from modelog_serving.oip.rest_calls import tenant
from modelog_serving.oip.rest_codec import to_predictions
from modelog_serving.oip.rest_edge import marked, told
from modelog_serving.oip.rest_routes import Asked, RestRoutes
from modelog_serving.routing.routes import Routes
from modelog_serving.routing.warmup import Warmup


class Invocations:
    """Handlers; a call that names no deployment is for the only one that runs."""

    def __init__(self, inference: Inference, routes: Routes, warmup: Warmup) -> None:
        self._inference, self._routes, self._warmup = inference, routes, warmup

    def add_to(self, routes: RestRoutes) -> None:
        """Whether the server lives may be asked by anybody."""
        for path in ("/ping", "/health"):
            routes.add("GET", path, self._ping, is_open=True)
        for path in ("/invocations", "/v1/models/{name}/invocations"):
            routes.add("POST", path, self._invoke)
        routes.add("GET", "/", self._alive, is_open=True)
        routes.add("POST", "/v1/models/{name}:predict", self._invoke)
        routes.add("GET", "/v1/models/{name}", self._ready)

    async def _ping(self, _asked: Asked) -> Answer:
        return told({}, 200 if self._warmup.ready else 503)

    async def _alive(self, _asked: Asked) -> Answer:
        return told({"status": "alive"})

    async def _ready(self, asked: Asked) -> Answer:
        ready = await self._inference.ready(tenant(), asked.names["name"])
        return told({"name": asked.names["name"], "ready": ready}, 200 if ready else 503)

    async def _invoke(self, asked: Asked) -> Answer:
        name = asked.names.get("name") or self._only()
        body, params = body_of(asked.request.headers.get("content-type", ""), asked.request.body)
        described = await self._inference.describe(tenant(), name, params.version)
        request = Request(
            deployment=name,
            version=params.version,
            key=params.key,
            prediction_id=params.prediction_id,
            event_time_us=params.event_time_us,
            subject=params.subject,
            inputs=tensors_in(body, described.signature),
        )
        response = await self._inference.infer(tenant(), request)
        return marked(told(to_predictions(response)), response.fallback)

    def _only(self) -> str:
        running = [r.deployment.name for r in self._routes.of(tenant()) if r.deployment.status != STOPPED]
        if len(running) != 1:
            raise NotFound(
                f"{len(running) or 'no'} deployments run here, and /invocations is for an only one; "
                "send to /v1/models/NAME/invocations"
            )
        return running[0]
