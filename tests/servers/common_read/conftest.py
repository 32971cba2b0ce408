"""Puts the suites of the read tables on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "common_read"))
