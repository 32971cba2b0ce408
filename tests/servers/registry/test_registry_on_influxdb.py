"""The registry with its curves in InfluxDB: as with a file, and that file is not needed, or taken over.

What is tested with a file is tested again: points of metrics, and a log that was restored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_proto.registry.v1 import experiment_pb2 as pb
from real_servers import InfluxdbServer
from test_curves_of_a_restored_log import log, points, vouched, whole
from test_curves_of_a_restored_log import (
    test_what_a_restored_log_does_not_seal_is_sealed_again as test_what_a_restored_log_does_not_seal_is_sealed_again,
)
from test_registry_metrics import (
    test_a_long_history_comes_in_pages,
    test_many_log_to_one_run_at_once,
    test_points_of_several_runs_at_once,
    test_the_log_vouches_for_what_is_kept,
    test_the_same_request_is_taken_once,
    test_what_log_run_told_stands_in_the_same_history,
)

__all__ = [
    "test_a_long_history_comes_in_pages",
    "test_many_log_to_one_run_at_once",
    "test_points_of_several_runs_at_once",
    "test_the_log_vouches_for_what_is_kept",
    "test_the_same_request_is_taken_once",
    "test_what_a_restored_log_does_not_seal_is_sealed_again",
    "test_what_log_run_told_stands_in_the_same_history",
]
PATIENCE_S = 150


async def when_it_is_back(ask: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await ask()
            except Unavailable:
                await asyncio.sleep(0.1)


async def test_a_file_of_curves_is_taken_over(
    registry_with: Callable[..., Any], once_more: Callable[..., Any], told: dict[str, Any], tmp_path: Path
) -> None:
    async with registry_with(tmp_path) as before:
        alice = before.person("alice")
        await alice.experiment()
        run = await alice.run()
        await log(alice, run.id, 0, 0.9, 0.8)
        await whole(alice, run.id)
    file = tmp_path / "registry" / "curves.db"
    assert file.is_file()
    for first in (2, 3):
        async with once_more(before, **told) as after:
            alice = after.person("alice")
            await log(alice, run.id, first, 1.0)
            assert len(await points(alice, run.id)) == first + 1
            assert await vouched(after, run.id) == [(n, n) for n in range(1, first + 1)]
        assert not file.exists()


async def test_while_influxdb_is_away_points_are_refused_and_nothing_is_lost(
    registry_with: Callable[..., Any],
    once_more: Callable[..., Any],
    told: dict[str, Any],
    influxdb: InfluxdbServer,
    tmp_path: Path,
) -> None:
    away = f"the store of curves at {influxdb.url} does not answer"
    async with registry_with(tmp_path, **told) as registry:
        alice = registry.person("alice")
        await alice.experiment()
        run = await alice.run()
        await log(alice, run.id, 0, 0.9)
        influxdb.kill()
        with pytest.raises(Unavailable, match=away):
            await log(alice, run.id, 1, 0.8)
        with pytest.raises(Unavailable, match=away):
            await points(alice, run.id)
        await alice.experiments.LogRun(pb.LogRunRequest(run_id=run.id, tags={"still": "here"}))
    async with once_more(registry):
        alice = registry.person("alice")
        with pytest.raises(Unavailable, match=away):
            await whole(alice, run.id)
        await alice.model()
        influxdb.start()
        assert (await when_it_is_back(lambda: whole(alice, run.id))).metrics == {"loss": 0.9}
        await log(alice, run.id, 1, 0.7)
        assert await points(alice, run.id) == [0.9, 0.7]
    assert not (tmp_path / "registry" / "curves.db").exists()
