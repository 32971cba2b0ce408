"""kill -9 of each server and each service of a platform on servers, in the middle of its work: nothing is lost.

The checks are those of tests/e2e/test_each_process_is_killed.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelog_platform.profile import load_profile

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from running_platform import RunningPlatform
from test_each_process_is_killed import (
    Survived,
    survive,
    test_every_acknowledged_command_happened_once,
    test_every_acknowledged_prediction_is_in_the_log,
    test_every_process_was_killed_and_came_back,
    test_every_streamed_row_is_in_a_window_once,
    test_the_job_registered_one_version,
    test_the_log_is_intact,
)

__all__ = [
    "test_every_acknowledged_command_happened_once",
    "test_every_acknowledged_prediction_is_in_the_log",
    "test_every_process_was_killed_and_came_back",
    "test_every_streamed_row_is_in_a_window_once",
    "test_the_job_registered_one_version",
    "test_the_log_is_intact",
]
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def survived(server_folder: Path) -> Iterator[Survived]:
    folder = server_folder / "killed"
    (folder / "work").mkdir(parents=True)
    own = RunningPlatform(folder, "servers", load_profile("servers").servers)
    own.up()
    try:
        yield survive(own, folder / "work")
    finally:
        own.down()
