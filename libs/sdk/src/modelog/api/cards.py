"""Model cards: read them, write what only people can."""

from __future__ import annotations

from typing import Optional, Sequence
from urllib.parse import quote

from modelog.governance import CardParts, ModelBom, ModelCard, RenderedModelCard
from modelog.transport import Transport


class Cards:
    """The cards of model versions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, model: str, version: str, *, as_of: Optional[str] = None) -> ModelCard:
        """The card as JSON, with what is missing in it."""
        return self._transport.get(_at(model, version), ModelCard, as_of=as_of)

    def rendered(self, model: str, version: str, *, as_of: Optional[str] = None) -> RenderedModelCard:
        """The card as a page, and as Markdown."""
        return self._transport.get(f"{_at(model, version)}/rendered", RenderedModelCard, as_of=as_of)

    def bom(self, model: str, version: str, *, as_of: Optional[str] = None) -> ModelBom:
        """The bill of materials: `json` is a document of CycloneDX 1.6."""
        return self._transport.get(_at(model, version, "bom"), ModelBom, as_of=as_of)

    def edit(
        self, model: str, version: str, parts: CardParts, *, clear: Sequence[str] = (), from_version: str = ""
    ) -> ModelCard:
        """Write parts: each that is not empty takes the place of what was there; those of `clear` are emptied.

        With `from_version`, a version or "last" for the last one before it that has a card, what was written there and
        not here is taken over, but for `diff`.
        """
        body = {"parts": parts, "cleared": list(clear), "from_version": from_version}
        return self._transport.post(_at(model, version), ModelCard, body)


def _at(model: str, version: str, what: str = "card") -> str:
    return f"/api/v1/models/{quote(model, safe='')}/versions/{quote(version, safe='')}/{what}"
