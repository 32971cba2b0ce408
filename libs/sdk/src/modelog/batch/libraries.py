"""The libraries that batches stand on, which the SDK itself does without."""

from __future__ import annotations

import importlib
from typing import Any

from modelog.errors import Invalid


def library(name: str) -> Any:
    """A library; Invalid says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Invalid(f"batches need {name}: pip install 'modelog[batch]'") from None


def in_short(error: BaseException) -> str:
    """The first line of what a library says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
