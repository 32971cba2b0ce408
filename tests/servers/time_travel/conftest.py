"""The suite of time travel and its support, on the path."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
for folder in ("integration/time_travel", "integration/gateway", "integration/lineage", "e2e"):
    sys.path.insert(0, str(TESTS / folder))
