"""The flights story on the servers of the profile `servers`, as `make demo EXIT=1 PROFILE=servers` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from modelog_platform.servers.recipe import servers_home

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from flights_story import told_from_start_to_end

LIMIT_S = 1800


@pytest.mark.slow
@pytest.mark.xdist_group("platform")
@pytest.mark.timeout(LIMIT_S)
def test_the_year_is_told_on_servers_from_start_to_end(server_folder: Path) -> None:
    folder = server_folder / "flights"
    folder.mkdir()
    told_from_start_to_end(folder, "--profile", "servers", limit_s=LIMIT_S, MODELOG_SERVERS_DIR=str(servers_home()))
