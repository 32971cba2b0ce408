"""Neo4j dies under the lineage service, comes back, comes back empty: every test of such faults."""

from __future__ import annotations

from test_lineage_faults import *  # noqa: F403
