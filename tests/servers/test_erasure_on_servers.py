"""An erased person's plain text is in no byte of any server that a platform on the profile `servers` stands on.

The servers' whole folders are searched: tables, segments, and logs of changes. The check is that of
tests/e2e/test_erasure_leaves_no_byte.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelog_platform.profile import load_profile

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from running_platform import RunningPlatform
from test_erasure_leaves_no_byte import Places, test_no_byte_of_an_erased_persons_data_is_left

__all__ = ["test_no_byte_of_an_erased_persons_data_is_left"]
# One platform on servers at a time: it has eight of them beside its own processes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("platform")]


@pytest.fixture(scope="module")
def own(server_folder: Path) -> Iterator[RunningPlatform]:
    """A platform on the servers of the profile that logs as much as it can."""
    folder = server_folder / "erased"
    folder.mkdir()
    own = RunningPlatform(folder, "servers", load_profile("servers").servers)
    own.environment["MODELOG_LOG_LEVEL"] = "debug"
    own.up()
    yield own
    own.down()


@pytest.fixture(scope="module")
def places(own: RunningPlatform) -> Places:
    return Places([own.folder], {"servers/postgres/", "servers/mariadb/", "servers/kafka/"})
