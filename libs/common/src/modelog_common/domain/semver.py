"""Semantic versions, MAJOR.MINOR.PATCH (semver.org, without pre-release and build parts)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelog_common.domain.errors import Invalid

_FORM = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")


@dataclass(frozen=True, order=True)
class SemanticVersion:
    """A version that compares as numbers do: 1.10.0 is newer than 1.9.0."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str, field: str = "version") -> SemanticVersion:
        """Read "1.2.3"; raises Invalid, which names `field`, for anything else."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise Invalid.field(field, f"{text!r} is not a semantic version; it must look like 1.2.3")
        return cls(*(int(part) for part in match.groups()))

    def next_minor(self) -> SemanticVersion:
        return SemanticVersion(self.major, self.minor + 1, 0)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"
