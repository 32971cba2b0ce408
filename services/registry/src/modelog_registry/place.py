"""Where an experiment or a model belongs: a project of a workspace."""

from __future__ import annotations

import msgspec

# The workspace that is always there, and its project: what names none is there.
DEFAULT = "default"


class Place(msgspec.Struct, frozen=True):
    """A project of a workspace."""

    workspace: str = DEFAULT
    project: str = DEFAULT

    def __str__(self) -> str:
        return f"{self.workspace}/{self.project}"


DEFAULT_PLACE = Place()
