"""The acceptance test of the first story: `python -m flights --exit`, as `make demo EXIT=1` runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from flights_story import LIMIT_S, told_from_start_to_end, was_told

# Where `make demo EXIT=1` has just been run, with what it said in story.txt: it is not told a second time.
TOLD = "MODELOG_TEST_STORY"


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_the_year_is_told_from_start_to_end(tmp_path: Path) -> None:
    if TOLD in os.environ:
        data = Path(os.environ[TOLD])
        was_told((data / "story.txt").read_text(), data / "flights-report.html", data)
    else:
        told_from_start_to_end(tmp_path)
