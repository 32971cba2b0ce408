"""What led to what."""

from __future__ import annotations

from typing import Optional

from modelog.transport import Transport
from modelog.types import Graph


class LineageGraph:
    """The lineage graph."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def trace(self, node: str, direction: str = "upstream", depth: int = 10, *, as_of: Optional[str] = None) -> Graph:
        """The graph around a node "Kind:key", such as "ModelVersion:flight-delay/1.0.0"."""
        way = f"DIRECTION_{direction.upper()}"
        return self._transport.get("/api/v1/lineage", Graph, node=node, direction=way, depth=depth, as_of=as_of)

    def prediction(self, deployment: str, prediction_id: str, *, as_of: Optional[str] = None) -> Graph:
        """From one prediction back to model version, run, dataset versions and approval, as they were when it was made.

        NotFound as of a moment before that.
        """
        path = f"/api/v1/lineage/predictions/{deployment}/{prediction_id}"
        return self._transport.get(path, Graph, as_of=as_of)
