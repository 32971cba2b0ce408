"""The folders of the support that these tests share with others, on the path."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
for folder in ("integration/time_travel", "integration/gateway", "e2e"):
    sys.path.insert(0, str(TESTS / folder))
