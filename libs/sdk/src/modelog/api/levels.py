"""How traffic does by the targets that are held with models."""

from __future__ import annotations

from typing import List, Optional
from urllib.parse import quote

from modelog.service_level import ServiceLevel
from modelog.transport import Transport
from modelog.types import Record


class _Levels(Record):
    levels: List[ServiceLevel] = []
    next_page_token: str = ""


class Levels:
    """Service levels of versions that had traffic while their model had targets."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, deployment: str, version: str, *, period_hours: int = 0, as_of: Optional[str] = None) -> ServiceLevel:
        """One version of a deployment, with its hours; a period of 0 is that of the error budget, 30 days."""
        path = f"/api/v1/deployments/{quote(deployment, safe='')}/versions/{quote(version, safe='')}/level"
        return self._transport.get(path, ServiceLevel, period_hours=period_hours or None, as_of=as_of)

    def list(
        self,
        model: Optional[str] = None,
        *,
        deployment: Optional[str] = None,
        version: Optional[str] = None,
        period_hours: int = 0,
        as_of: Optional[str] = None,
    ) -> List[ServiceLevel]:
        """Levels of a model, a deployment or a version, or all; by deployment and version."""
        return self._transport.every(
            "/api/v1/levels",
            _Levels,
            lambda page: page.levels,
            model=model,
            deployment=deployment,
            version=version,
            period_hours=period_hours or None,
            as_of=as_of,
        )
