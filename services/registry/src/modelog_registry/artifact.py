"""A stored file as models and runs name it: a path of their own and the digest of the content."""

from __future__ import annotations

import msgspec
from modelog_common.domain.errors import Invalid


class Artifact(msgspec.Struct, frozen=True):
    """A file: where it belongs inside its owner, the SHA-256 of its content in hexadecimal, its size."""

    path: str
    digest: str
    size_bytes: int


def check_path(path: str, field: str) -> None:
    """Refuse a path that would lead out of the folder it is written to; raises Invalid, naming `field`."""
    if any(part in (".", "..") for part in path.split("/")):
        raise Invalid.field(field, f"{path!r} holds '.' or '..'; it must be a plain relative path such as model.ubj")
