"""The acceptance test of the first story: `python -m flights --exit`, as `make demo EXIT=1` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from flights_story import LIMIT_S, told_from_start_to_end


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_the_year_is_told_from_start_to_end(tmp_path: Path) -> None:
    told_from_start_to_end(tmp_path)
