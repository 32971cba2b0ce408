"""The files of experiments that belong to none of their runs: the rows, and the answers that are read from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from modelog_common.read.queries import Found
from modelog_common.read.tables import Change, Put, Remove
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_proto.registry.v1 import model_pb2
from sqlalchemy import and_, or_

from modelog_registry.experiment.events import ExperimentArtifactsAdded, ExperimentArtifactsRemoved
from modelog_registry.read.messages import artifact_message
from modelog_registry.read.queries import TableQueries, existing
from modelog_registry.read.tables import EXPERIMENT_ARTIFACTS, EXPERIMENTS


def artifact_rows(event: ExperimentArtifactsAdded | ExperimentArtifactsRemoved) -> Sequence[Change]:
    """One for each file, so that an experiment with many of them is not written anew for one."""
    if isinstance(event, ExperimentArtifactsRemoved):
        return [Remove(EXPERIMENT_ARTIFACTS, _key(event.experiment_id, path)) for path in event.paths]
    return [
        Put(
            EXPERIMENT_ARTIFACTS,
            _key(event.experiment_id, artifact.path),
            artifact_message(artifact).SerializeToString(),
            {"path": artifact.path},
        )
        for artifact in event.artifacts
    ]


def _key(experiment_id: str, path: str) -> dict[str, str]:
    return {"experiment_id": experiment_id, "entry": hashlib.sha256(path.encode()).hexdigest()}


class ExperimentArtifactQueries(TableQueries):
    """What does not exist as of the moment raises NotFound."""

    async def listed(self, request: pb.ListExperimentArtifactsRequest, tenant: str) -> Found[model_pb2.Artifact]:
        """All, the file at a path, or what is in the folder there; by path."""
        experiment_id, path = request.experiment_id, request.under.rstrip("/")
        found = await self._queries.one(EXPERIMENTS, pb.Experiment, request.read, tenant, experiment_id=experiment_id)
        existing(found, f"there is no experiment {experiment_id!r}", request.read)
        t = EXPERIMENT_ARTIFACTS.table.c
        where = [t.experiment_id == experiment_id]
        if path:
            # "0" is what follows "/": paths are compared by their bytes.
            where.append(or_(t.path == path, and_(t.path >= f"{path}/", t.path < f"{path}0")))
        return await self._queries.page(
            EXPERIMENT_ARTIFACTS,
            model_pb2.Artifact,
            request.read,
            tenant,
            request.page,
            where=where,
            order_by=[t.path],
        )
