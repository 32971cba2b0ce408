"""What may be asked of a name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TakeName:
    """Give the name to an owner; instead of `unused_by`, which has it and is called otherwise."""

    kind: str
    name: str
    owner: str
    unused_by: str = ""


@dataclass(frozen=True)
class ReleaseName:
    """Let the name go."""

    kind: str
    name: str
    owner: str


NameCommand = TakeName | ReleaseName
