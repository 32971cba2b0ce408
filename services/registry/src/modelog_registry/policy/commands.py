"""What may be asked of a promotion policy."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_registry.rules import Rules


@dataclass(frozen=True)
class SetPolicy:
    """Put rules in force; `expected` is the version in force as far as the caller knows."""

    rules: Rules
    reason: str = ""
    expected: int | None = None
    # Whose policy it is; empty for the tenant's.
    workspace: str = ""


PolicyCommand = SetPolicy
