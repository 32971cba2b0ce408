"""Comparisons as they are asked for: fetches what is named, as of one moment, and compares it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.read.moment import ReadOptions
from modelog_proto.registry.v1 import compare_pb2 as pb
from modelog_proto.registry.v1 import experiment_pb2, model_pb2

from modelog_registry.compare.sides import Side, side_of_runs, side_of_version
from modelog_registry.compare.table import ENOUGH, comparison

# (run id, moment, tenant), and (model, version, moment, tenant); they raise NotFound.
RunOf: TypeAlias = Callable[[str, ReadOptions, str], Awaitable[experiment_pb2.Run]]
VersionOf: TypeAlias = Callable[[str, str, ReadOptions, str], Awaitable[model_pb2.ModelVersion]]


class Comparer:
    """Compares runs, and model versions, of one tenant."""

    def __init__(self, run_of: RunOf, version_of: VersionOf) -> None:
        self._run_of, self._version_of = run_of, version_of

    async def runs(self, request: pb.CompareRunsRequest, tenant: str) -> pb.ComparisonReport:
        """Raises Invalid for a design that the runs do not have, NotFound for a run that is not there."""
        groups = [_ids(given, column) for column, given in enumerate(request.runs)]
        _check_design(request, groups)
        sides = [
            side_of_runs([await self._run_of(run_id, request.read, tenant) for run_id in group]) for group in groups
        ]
        answer = comparison(sides)
        if _enough(groups):
            await asyncio.to_thread(_add_tests, answer, sides, request)
        return answer

    async def versions(self, request: pb.CompareVersionsRequest, tenant: str) -> pb.ComparisonReport:
        """Raises NotFound for a version that is not there."""
        sides = []
        for named in request.versions:
            model, _, number = named.partition("/")
            version = await self._version_of(model, number, request.read, tenant)
            run = None
            if version.run_id:
                # A run in a workspace that the reader may not look into is told nothing of.
                with suppress(NotFound):
                    run = await self._run_of(version.run_id, request.read, tenant)
            sides.append(side_of_version(version, run))
        return comparison(sides)


def _ids(given: str, column: int) -> list[str]:
    ids = given.split(",")
    twice = next((run_id for run_id in ids if ids.count(run_id) > 1), None)
    if twice is not None:
        raise Invalid.field(f"runs[{column}]", f"names run {twice} twice; each repeated run is to be named once")
    return ids


def _check_design(request: pb.CompareRunsRequest, groups: Sequence[Sequence[str]]) -> None:
    if request.design in (pb.RUN_DESIGN_PAIRED, pb.RUN_DESIGN_RESAMPLED):
        for column, group in enumerate(groups):
            if len(group) != len(groups[0]):
                raise Invalid.field(
                    f"runs[{column}]",
                    f"names {len(group)} runs; paired runs are as many as the first, {len(groups[0])}",
                )
    if request.design == pb.RUN_DESIGN_RESAMPLED:
        if request.ranks:
            raise Invalid.field("ranks", "true is not allowed; no test by ranks is known for overlapping training sets")
        if not 0 < request.test_share < 1:
            raise Invalid.field(
                "test_share", f"{request.test_share} is not allowed; the share of the rows held out is needed, like 0.2"
            )


def _enough(groups: Sequence[Sequence[str]]) -> bool:
    return len(groups[0]) >= ENOUGH and any(len(group) >= ENOUGH for group in groups[1:])


def _add_tests(answer: pb.ComparisonReport, sides: Sequence[Side], request: pb.CompareRunsRequest) -> None:
    # Imported when it is needed: scipy.stats takes longer to import than all the rest, and a restart must not wait.
    from modelog_registry.compare import significance

    significance.add_tests(answer, sides, request)
