"""Settings of the training service alone, from variables MODELOG_TRAINING_*."""

from __future__ import annotations

import os

from modelog_common.domain.errors import Invalid

CPUS = "MODELOG_TRAINING_CPUS"
USUAL_CPUS = 2


def training_cpus() -> int:
    """How many CPUs jobs may use together: MODELOG_TRAINING_CPUS, by default two or as many as there are."""
    there = os.cpu_count() or 1
    text = os.environ.get(CPUS, "")
    if not text:
        return min(USUAL_CPUS, there)
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise Invalid.field(CPUS, f"is {text!r}; allowed: a whole number from 1 to 1024")
    return int(text)
