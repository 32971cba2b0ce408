"""Puts the suites beside this file, and those of edges, on the path of the modules that inherit them."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "edge")]
