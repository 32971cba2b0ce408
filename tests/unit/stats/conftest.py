"""What the unit tests of the statistics share: the data that published examples use."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
