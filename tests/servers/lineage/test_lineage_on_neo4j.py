"""The lineage service keeps its promises on Neo4j: every test of its graph, with Neo4j behind it."""

from __future__ import annotations

from test_lineage_graph import *  # noqa: F403
from test_prediction_trace import *  # noqa: F403
