"""How values of payloads are written in sentences: short, on one line, harmless to a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 120
HIDDEN = "(hidden)"
Payload = Mapping[str, Any]


def word(value: Any) -> str:
    """A value as it stands in a sentence."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, str | int):
        return HIDDEN
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value))
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."


def short(identifier: Any) -> str:
    """The beginning of an id, which is enough to know it again."""
    return word(identifier)[:8]


def listed(words: Iterable[str]) -> str:
    """ "a, b and c"."""
    *most, last = list(words) or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last


def count(number: int, one: str, many: str = "") -> str:
    """ "1 run", "1,204 runs"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def because(reason: Any) -> str:
    """What is added for a reason, if one was given."""
    return f": {word(reason)}" if reason else ""


def figure(value: Any, digits: int = 3) -> str:
    """A measured number; what was not measured is said."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "not known"


def day(moment: Any) -> str:
    """The day of a stored time."""
    return word(moment)[:10]
