"""A stored file as models and runs name it: a path of their own and the digest of the content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from modelog_common.domain.errors import Invalid, NotFound


class Artifact(msgspec.Struct, frozen=True):
    """A file: where it belongs inside its owner, the SHA-256 of its content in hexadecimal, its size."""

    path: str
    digest: str
    size_bytes: int


def check_path(path: str, field: str) -> None:
    """Refuse a path that would lead out of the folder it is written to; raises Invalid, naming `field`."""
    if any(part in (".", "..") for part in path.split("/")):
        raise Invalid.field(field, f"{path!r} holds '.' or '..'; it must be a plain relative path such as model.ubj")


def files_at(path: str, files: Mapping[str, Artifact]) -> list[Artifact]:
    """The file at a path, or all that are in the folder there."""
    whole = path.rstrip("/")
    return [file for name, file in files.items() if name == whole or name.startswith(f"{whole}/")]


def named_by(paths: Sequence[str], files: Mapping[str, Artifact], owner: str) -> tuple[str, ...]:
    """The paths of the files that `paths` name, each a file or a folder; raises NotFound for one that names none."""
    found: dict[str, None] = {}
    for path in paths:
        named = files_at(path, files)
        if not named:
            raise NotFound(f"{owner} has no file and no folder {path!r}")
        found |= dict.fromkeys(file.path for file in named)
    return tuple(found)
