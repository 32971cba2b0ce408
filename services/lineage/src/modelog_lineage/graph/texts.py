"""Values of events as attributes of nodes, which are texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def text_of(value: object) -> str:
    """Texts as they are, everything else as JSON: true, 12, 0.5, {"a":1}."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def texts(**values: object) -> dict[str, str]:
    """Attributes; what is None or an empty text, list or object is left out."""
    return {name: text_of(value) for name, value in values.items() if value is not None and value not in ("", [], {})}


def prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Attributes of somebody else's naming, kept apart from ours: {"metric.auc": "0.71"}."""
    return {f"{prefix}.{name}": text_of(value) for name, value in values.items()}
