"""The calls about models over REST that Triton's extensions have: repository, configuration and statistics."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
from modelog_common.edge.http1_answer import Answer
from modelog_common.rpc.call import current_call

from modelog_serving.oip import rest_codec
from modelog_serving.oip.access import LOADING, permit
from modelog_serving.oip.core import Inference
from modelog_serving.oip.repository import Repository, version_of
from modelog_serving.oip.rest_calls import tenant
from modelog_serving.oip.rest_edge import told
from modelog_serving.oip.rest_routes import Asked, RestRoutes


class IndexBody(msgspec.Struct):
    """$repository_index_request."""

    ready: bool = False


class LoadBody(msgspec.Struct):
    """$repository_load_request."""

    parameters: dict[str, Any] = {}


_INDEX = msgspec.json.Decoder(IndexBody)
_LOAD = msgspec.json.Decoder(LoadBody)


class RepositoryCalls:
    """Handlers over the same core as gRPC has."""

    def __init__(self, inference: Inference, repository: Repository) -> None:
        self._inference, self._repository = inference, repository

    def add_to(self, routes: RestRoutes) -> None:
        """To be added before the calls about one model, whose name could be `stats`."""
        routes.add("POST", "/v2/repository/index", self._index)
        routes.add("POST", "/v2/repository/models/{name}/load", self._load)
        routes.add("POST", "/v2/repository/models/{name}/unload", self._unload)
        routes.add("GET", "/v2/models/stats", self._statistics)
        for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            routes.add("GET", f"{path}/stats", self._statistics)
            routes.add("GET", f"{path}/config", self._config)

    async def _index(self, asked: Asked) -> Answer:
        body: IndexBody = rest_codec.decoded(_INDEX, asked.request.body or b"{}")
        return told([asdict(one) for one in await self._repository.index(tenant(), only_ready=body.ready)])

    async def _load(self, asked: Asked) -> Answer:
        await self._repository.load(tenant(), *_allowed(asked))
        return told({})

    async def _unload(self, asked: Asked) -> Answer:
        await self._repository.unload(tenant(), *_allowed(asked))
        return told({})

    async def _config(self, asked: Asked) -> Answer:
        return told(rest_codec.to_config(await self._inference.describe(tenant(), *asked.named)))

    async def _statistics(self, asked: Asked) -> Answer:
        found = await self._repository.statistics(tenant(), asked.names.get("name", ""), asked.names.get("version", ""))
        return told({"model_stats": [rest_codec.to_statistics(one) for one in found]})


def _allowed(asked: Asked) -> tuple[str, str]:
    """The deployment and the version to load or unload; raises Forbidden."""
    permit(current_call().identity, LOADING)
    body: LoadBody = rest_codec.decoded(_LOAD, asked.request.body or b"{}")
    return asked.names["name"], version_of("", body.parameters)
