"""Puts the support of the lineage tests on the path, and its fixtures where these tests find them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lineage_fixtures import bare, empty_graph, fresh_graph, log, place, process, shared_graph, story

__all__ = ["bare", "empty_graph", "fresh_graph", "log", "place", "process", "shared_graph", "story"]
