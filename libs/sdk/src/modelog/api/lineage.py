"""What led to what, and what there is."""

from __future__ import annotations

from typing import Mapping, Optional, Sequence

from modelog.transport import Transport
from modelog.types import Found, Graph

# The words that people use, and the kinds of the catalogue.
KINDS = {
    "model": "Model",
    "version": "ModelVersion",
    "dataset": "DatasetVersion",
    "experiment": "Experiment",
    "run": "Run",
    "deployment": "Deployment",
    "monitor": "Monitor",
}


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

    def search(
        self,
        text: str = "",
        *,
        kinds: Sequence[str] = (),
        tags: Optional[Mapping[str, str]] = None,
        limit: int = 20,
        page_token: Optional[str] = None,
        as_of: Optional[str] = None,
        at_least: Optional[int] = None,
    ) -> Found:
        """What there is by words, kinds ("model", "version", "dataset", ...) and tags ({"stage": "production"}).

        `page_token`: the `next_page_token` of the page before.
        """
        return self._transport.get(
            "/api/v1/catalogue",
            Found,
            text=text or None,
            kinds=[KINDS.get(kind, kind) for kind in kinds] or None,
            tags=[f"{name}={value}" for name, value in (tags or {}).items()] or None,
            page_size=limit,
            page_token=page_token,
            as_of=as_of,
            at_least=at_least,
        )
