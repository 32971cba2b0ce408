"""Keeps the models of all running deployments in memory, from the start on, and knows which ones are not."""

from __future__ import annotations

import asyncio

import structlog
from modelog_common.domain.errors import ModelogError

from modelog_serving.engine.models import Models
from modelog_serving.routing.routes import Route, Routes

AGAIN_S = 5.0
log = structlog.get_logger()


class Warmup:
    """`ready` once every model that answers traffic was loaded or is known to be broken.

    A `strict` one, of a process that others may take the place of, is not ready before something can be answered.
    """

    def __init__(self, routes: Routes, models: Models, *, strict: bool = False) -> None:
        self._routes, self._models, self._strict = routes, models, strict
        self.ready = False

    async def run(self) -> None:
        """Load what is missing, again and again, until cancelled."""
        while True:
            await self.load_all()
            await asyncio.sleep(AGAIN_S)

    async def load_all(self) -> None:
        """Load what is missing, once."""
        for route in self._routes.running():
            if not self._routes.rests(route):
                await self._load(route)
        self.ready = self.ready or not self._strict or self._answers()

    def _answers(self) -> bool:
        return any(len(self.missing(route)) < len(route.variants) for route in self._routes.running())

    async def _load(self, route: Route) -> None:
        for variant in route.needed:
            ref = route.ref(variant)
            if self._models.loaded(ref) is not None:
                continue
            try:
                await self._models.get(ref)
            except ModelogError as error:
                log.error(
                    "model cannot be loaded",
                    deployment=route.deployment.name,
                    model=route.deployment.model,
                    version=variant.version,
                    why=str(error),
                )

    def missing(self, route: Route) -> list[str]:
        """Versions that answer traffic and are not in memory, though they should be."""
        if self._routes.rests(route):
            return []
        return [v.version for v in route.variants.values() if self._models.loaded(route.ref(v)) is None]

    def error(self, route: Route) -> str:
        """Why a deployment cannot answer a part of its traffic; "" when it can, or when nothing failed yet."""
        missing = self.missing(route)
        told = [f"{v}: {self._models.error(route.variants[v].digest)}" for v in missing]
        return "; ".join(text for text in told if not text.endswith(": "))
