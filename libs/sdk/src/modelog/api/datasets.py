"""Datasets and files, each named by its content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence

from modelog.errors import Invalid
from modelog.packing import zipped
from modelog.transport import PIECE_BYTES, Transport
from modelog.types import (
    Artifact,
    Column,
    Dataset,
    DatasetVersion,
    Expectation,
    Record,
    Upload,
    UploadedPart,
)

# A file of more bytes goes in parts of so many.
PART_BYTES = 32 * 1024 * 1024
MOST_PARTS = 10_000
Progress = Callable[[int, int], None]


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

    def upload(
        self, file: Path, path: str = "", *, part_bytes: int = PART_BYTES, on_progress: Optional[Progress] = None
    ) -> Artifact:
        """Store a file; the platform refuses it when what arrives is not what was sent. A folder is stored as one zip
        file, the same for the same files.

        A file of more than `part_bytes` goes in parts: after an upload that broke off, the same call goes on where the
        platform has it, from another process too. `on_progress` is told how many bytes are there, and of how many.
        """
        file = Path(file)
        if file.is_dir():
            with tempfile.TemporaryDirectory() as folder:
                packed = zipped(file, Path(folder) / f"{file.resolve().name}.zip")
                return self.upload(packed, path, part_bytes=part_bytes, on_progress=on_progress)
        digest, size = digest_of(file), file.stat().st_size
        if size > part_bytes:
            self._upload_in_parts(file, digest, size, part_bytes, on_progress)
        else:
            self._transport.put_file("/api/v1/artifacts", file, digest)
        return Artifact(path=path or file.name, digest=digest, size_bytes=size)

    def _upload_in_parts(
        self, file: Path, digest: str, size: int, part_bytes: int, on_progress: Optional[Progress]
    ) -> None:
        tell = on_progress or _say_nothing
        body = {"expected_digest": digest, "size_bytes": size}
        upload = self._transport.post("/api/v1/uploads", Upload, body)
        tell(upload.held_bytes, size)
        if upload.stored:
            return
        # Those after a gap are sent again.
        parts = [part for place, part in enumerate(upload.parts, start=1) if part.number == place]
        at = upload.held_bytes
        with file.open("rb") as content:
            content.seek(at)
            while piece := content.read(max(part_bytes, size // (MOST_PARTS // 2))):
                part = UploadedPart(
                    number=len(parts) + 1, digest=hashlib.sha256(piece).hexdigest(), size_bytes=len(piece)
                )
                self._transport.put_bytes(f"/api/v1/uploads/{upload.id}/parts/{part.number}", piece, part.digest)
                parts.append(part)
                at += len(piece)
                tell(at, size)
        self._transport.post(f"/api/v1/uploads/{upload.id}/complete", dict, {"parts": parts})

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


def _say_nothing(_done: int, _of: int) -> None:
    """Nobody wants to know how far it is."""


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
