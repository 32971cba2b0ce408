"""Signatures of a version: what was signed, with which key, and the rules of keeping them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from modelog_common.domain.errors import Invalid
from modelog_common.domain.semver import SemanticVersion
from modelog_common.events.types import event

from modelog_registry.artifact import Artifact, check_path


@event("registry.VersionSigned")
class VersionSigned:
    """Somebody signed a version's files together with `files`; `key` is the SHA-256 of the public key."""

    model_id: str
    model: str
    version: str
    key: str
    signature: Artifact
    files: tuple[Artifact, ...]
    by: str
    at: datetime


@dataclass(frozen=True)
class SignVersion:
    """Keep a signature."""

    model: str
    version: SemanticVersion
    key: str
    signature: Artifact
    files: tuple[Artifact, ...]


def check_files(files: Sequence[Artifact]) -> None:
    """Raises Invalid for a path that leads out of the folder, or that stands there twice."""
    seen: set[str] = set()
    for n, file in enumerate(files):
        check_path(file.path, f"files[{n}].path")
        if file.path in seen:
            raise Invalid.field(f"files[{n}].path", f"{file.path!r} stands there twice; paths must differ")
        seen.add(file.path)
