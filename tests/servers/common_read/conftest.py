"""Puts the suites of the read tables, and what stands beside this file, on the path."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
CONTRACT = HERE.parents[1] / "contract"
sys.path[:0] = [str(HERE), str(CONTRACT / "common_read"), str(CONTRACT / "common_bus")]
