"""Puts the suite beside this file on the path of the modules that inherit it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
