"""Datasets and files, each named by its content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, List, Optional, Sequence

from modelog.errors import Invalid
from modelog.transport import PIECE_BYTES, Transport
from modelog.types import Artifact, Column, Dataset, DatasetVersion, Expectation, Record


class _Datasets(Record):
    datasets: List[Dataset] = []
    next_page_token: str = ""


class _Versions(Record):
    versions: List[DatasetVersion] = []
    next_page_token: str = ""


class Artifacts:
    """Files, stored under the SHA-256 of their content."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, file: Path, path: str = "") -> Artifact:
        """Store a file; the platform refuses it when what arrives is not what was sent."""
        digest = digest_of(Path(file))
        self._transport.put_file("/api/v1/artifacts", Path(file), digest)
        return Artifact(path=path or Path(file).name, digest=digest, size_bytes=Path(file).stat().st_size)

    def upload_bytes(self, content: bytes, path: str) -> Artifact:
        digest = hashlib.sha256(content).hexdigest()
        self._transport.put_bytes("/api/v1/artifacts", content, digest)
        return Artifact(path=path, digest=digest, size_bytes=len(content))

    def download(self, digest: str, target: Path) -> Path:
        """Fetch a file to `target`; raises Invalid, and leaves nothing, when its digest is another one."""
        content = self._transport.get_bytes(f"/api/v1/artifacts/{digest}")
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise Invalid(f"digest: what arrived has SHA-256 {found}, expected {digest}")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".part")
        partial.write_bytes(content)
        os.replace(partial, target)
        return target

    def kept(self, digest: str, target: Path) -> Path:
        """The file at `target` if it is the one, else fetched there."""
        same = target.is_file() and digest_of(target) == digest
        return target if same else self.download(digest, target)


class Datasets:
    """Datasets and their versions."""

    def __init__(self, transport: Transport, artifacts: Artifacts) -> None:
        self._transport, self._artifacts = transport, artifacts

    def register(
        self,
        dataset: str,
        frame: Any,
        *,
        label: str = "",
        expectations: Sequence[Expectation] = (),
        description: str = "",
    ) -> DatasetVersion:
        """Add a version from a Polars data frame or the path of a Parquet file.

        The file is uploaded under its digest. Content that is the newest version already gives that version back.
        """
        import polars as pl

        file = Path(frame) if isinstance(frame, (str, Path)) else None
        table = pl.read_parquet(file) if file else frame
        content = file.read_bytes() if file else _parquet(table)
        stored = self._artifacts.upload_bytes(content, f"{dataset}.parquet")
        body = {
            "label": label,
            "digest": stored.digest,
            "size_bytes": stored.size_bytes,
            "rows": table.height,
            "schema": [Column(name=n, type=str(t)) for n, t in table.schema.items()],
            "expectations": list(expectations),
            "description": description,
        }
        return self._transport.post(f"/api/v1/datasets/{dataset}/versions", DatasetVersion, body)

    def list(self, *, as_of: Optional[str] = None) -> List[Dataset]:
        """All datasets, by name."""
        return self._transport.every("/api/v1/datasets", _Datasets, lambda page: page.datasets, as_of=as_of)

    def versions(self, dataset: str, *, as_of: Optional[str] = None) -> List[DatasetVersion]:
        """Versions of one dataset, oldest first."""
        path = f"/api/v1/datasets/{dataset}/versions"
        return self._transport.every(path, _Versions, lambda page: page.versions, as_of=as_of)

    def version(self, dataset: str, version: int, *, as_of: Optional[str] = None) -> DatasetVersion:
        """One version."""
        return self._transport.get(f"/api/v1/datasets/{dataset}/versions/{version}", DatasetVersion, as_of=as_of)

    def download(self, dataset: str, version: int, folder: Path) -> Path:
        """Fetch a version's Parquet file into `folder`; returns the path."""
        found = self.version(dataset, version)
        return self._artifacts.download(found.digest, Path(folder) / f"{dataset}-{version}.parquet")


def digest_of(file: Path) -> str:
    """The SHA-256 of a file, read piece by piece."""
    whole = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            whole.update(piece)
    return whole.hexdigest()


def _parquet(frame: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()
