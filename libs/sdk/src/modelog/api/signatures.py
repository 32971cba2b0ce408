"""Signatures of model versions: kept by the platform, made and checked here."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional
from urllib.parse import quote

from modelog import signing
from modelog.api.datasets import Artifacts
from modelog.errors import NotFound
from modelog.governance import ModelSignature
from modelog.transport import Transport, pages
from modelog.types import Record


class _Signatures(Record):
    signatures: List[ModelSignature] = []
    next_page_token: str = ""


class Signatures:
    """The signatures of versions."""

    def __init__(self, transport: Transport, artifacts: Artifacts) -> None:
        self._transport, self._artifacts = transport, artifacts

    def list(self, model: str, version: str, *, as_of: Optional[str] = None) -> List[ModelSignature]:
        """Newest first."""

        def after(token: str) -> _Signatures:
            return self._transport.get(
                _at(model, version), _Signatures, as_of=as_of, page_token=token or None, page_size=1000
            )

        return [signature for page in pages(after) for signature in page.signatures]

    def add(self, model: str, version: str, folder: Path) -> ModelSignature:
        """Upload a signature that `modelog.signing` made, and what it covers beside the version's own files."""
        beside = signing.artifacts(folder, signing.signed_beside(folder))
        for artifact in beside:
            self._artifacts.upload(folder / artifact.path, artifact.path)
        signature = self._artifacts.upload(folder / signing.SIGNATURE)
        key = signing.key_of(folder / signing.SIGNATURE)
        body = {"key": key, "signature": signature, "files": beside}
        return self._transport.post(_at(model, version), ModelSignature, body)

    def download(self, signature: ModelSignature, folder: Path) -> None:
        """Fetch a signature and what it covers beside the version's own files."""
        for artifact in signature.files:
            self._artifacts.download(artifact.digest, folder / artifact.path)
        if signature.signature is not None:
            self._artifacts.download(signature.signature.digest, folder / signing.SIGNATURE)

    def by_key(self, model: str, version: str, key: str) -> ModelSignature:
        """The newest signature with a key, by its fingerprint. Raises NotFound, which names those that there are."""
        found = self.list(model, version)
        mine = [signature for signature in found if signature.key == key]
        if not mine:
            others = ", ".join(sorted({signature.key[:12] for signature in found})) or "none"
            raise NotFound(f"{model} {version} has no signature with the key {key[:12]}; it has {others}")
        return mine[0]


def _at(model: str, version: str) -> str:
    return f"/api/v1/models/{quote(model, safe='')}/versions/{quote(version, safe='')}/signatures"
