"""What every answer is."""

from __future__ import annotations

from typing import Any, Dict

import msgspec


class Record(msgspec.Struct, kw_only=True):
    """Base of all answers; fields that this release does not know are left out."""

    def to_dict(self) -> Dict[str, Any]:
        """The answer as plain JSON types."""
        plain = msgspec.to_builtins(self)
        assert isinstance(plain, dict)  # noqa: S101 - a Struct always becomes a dict
        return plain
