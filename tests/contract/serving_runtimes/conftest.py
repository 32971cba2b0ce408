"""The suite stands beside the modules that run it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
