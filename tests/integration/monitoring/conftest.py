"""Puts the support of monitoring's tests on the path, and its fixtures where these tests find them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from monitoring_bench import bench, hook, process, world

__all__ = ["bench", "hook", "process", "world"]
