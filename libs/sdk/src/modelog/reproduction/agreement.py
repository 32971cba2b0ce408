"""Which metrics of two runs agree within a tolerance."""

from __future__ import annotations

import math
from typing import List, Mapping, Optional, Sequence

from modelog.errors import Invalid
from modelog.types import Record

# Two builds of the same mathematics differ in the last bits.
RELATIVE = 1e-9
SYSTEM = "system/"


class Agreement(Record):
    """One metric: what was recorded, what came out again (None: nothing), and whether that is the same."""

    metric: str
    recorded: float
    again: Optional[float]
    agrees: bool

    @property
    def difference(self) -> Optional[float]:
        return None if self.again is None else self.again - self.recorded


def compared(
    recorded: Mapping[str, float],
    again: Mapping[str, float],
    *,
    absolute: float = 0.0,
    relative: float = RELATIVE,
    only: Sequence[str] = (),
) -> List[Agreement]:
    """Each metric but those of the system, or only some. |again - recorded| <= absolute + relative * |recorded|.

    A NaN agrees with a NaN, an infinity with itself. Raises Invalid for a metric that was not recorded.
    """
    unknown = [name for name in only if name not in recorded]
    if unknown:
        raise Invalid(f"the run has no metric {unknown[0]!r}; it has {', '.join(sorted(recorded))}")
    names = only or [name for name in sorted(recorded) if not name.startswith(SYSTEM)]
    found = []
    for name in names:
        before, after = recorded[name], again.get(name)
        agrees = after is not None and agree(before, after, absolute, relative)
        found.append(Agreement(metric=name, recorded=before, again=after, agrees=agrees))
    return found


def agree(before: float, after: float, absolute: float, relative: float) -> bool:
    if math.isnan(before) or math.isnan(after):
        return math.isnan(before) and math.isnan(after)
    if math.isinf(before) or math.isinf(after):
        return before == after
    return abs(after - before) <= absolute + relative * abs(before)
