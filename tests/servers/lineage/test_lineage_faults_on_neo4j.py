"""Neo4j dies under the lineage service, comes back, comes back empty: every test of such faults."""

from __future__ import annotations

import pytest
from test_lineage_faults import *  # noqa: F403

# Each start of Neo4j plans its queries anew, which takes a busy machine a minute.
pytestmark = pytest.mark.timeout(900)
