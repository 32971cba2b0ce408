"""Puts the suites beside this file on the path of the modules that inherit them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
