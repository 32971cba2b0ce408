"""The protocol's calls over REST: under /v2 as it is specified, and predictions by feature name under /v1."""

from __future__ import annotations

from modelog_common.edge.http1_answer import Answer
from modelog_common.rpc.call import current_call

from modelog_serving.oip import binary, rest_codec
from modelog_serving.oip.asked import Request
from modelog_serving.oip.core import Inference
from modelog_serving.oip.rest_edge import marked, told
from modelog_serving.oip.rest_routes import Asked, RestRoutes
from modelog_serving.oip.server import EXTENSIONS, SERVER_NAME, SERVER_VERSION
from modelog_serving.routing.warmup import Warmup

JSON_LENGTH = binary.HEADER.lower()
INFER = "/v2/models/{name}/infer"


class RestCalls:
    """Handlers over the same core as gRPC has."""

    def __init__(self, inference: Inference, warmup: Warmup) -> None:
        self._inference, self._warmup = inference, warmup

    def add_to(self, routes: RestRoutes) -> None:
        """Health and the server's name are open to anybody."""
        routes.add("GET", "/v2", self._server, is_open=True)
        routes.add("GET", "/v2/", self._server, is_open=True)
        routes.add("GET", "/v2/health/live", self._live, is_open=True)
        routes.add("GET", "/v2/health/ready", self._ready, is_open=True)
        for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            routes.add("GET", path, self._model)
            routes.add("GET", f"{path}/ready", self._model_ready)
            routes.add("POST", f"{path}/infer", self._infer)
        routes.add("POST", "/v1/models/{name}/predict", self._predict)

    async def _server(self, _asked: Asked) -> Answer:
        return told({"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": list(EXTENSIONS)})

    async def _live(self, _asked: Asked) -> Answer:
        return told({"live": True})

    async def _ready(self, _asked: Asked) -> Answer:
        return told({"ready": self._warmup.ready}, 200 if self._warmup.ready else 503)

    async def _model(self, asked: Asked) -> Answer:
        return told(rest_codec.to_metadata(await self._inference.describe(tenant(), *asked.named)))

    async def _model_ready(self, asked: Asked) -> Answer:
        ready = await self._inference.ready(tenant(), *asked.named)
        return told({"name": asked.named[0], "ready": ready}, 200 if ready else 503)

    async def _infer(self, asked: Asked) -> Answer:
        length = asked.request.headers.get(JSON_LENGTH, "")
        request, form = rest_codec.request_of(*asked.named, asked.request.body, length)
        response = await self._inference.infer(tenant(), request)
        return marked(rest_codec.to_answer(response, form), response.fallback)

    async def _predict(self, asked: Asked) -> Answer:
        body = rest_codec.predict_of(asked.request.body)
        name = asked.names["name"]
        described = await self._inference.describe(tenant(), name, body.version)
        request = Request(
            deployment=name,
            version=body.version,
            key=body.key,
            prediction_id=body.prediction_id,
            event_time_us=body.event_time_us,
            subject=body.subject,
            inputs=rest_codec.rows_of(body, described.signature),
        )
        response = await self._inference.infer(tenant(), request)
        return marked(told(rest_codec.to_predictions(response)), response.fallback)


def tenant() -> str:
    """Whose deployments the caller sees."""
    return current_call().identity.tenant
