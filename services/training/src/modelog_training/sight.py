"""What requests and answers of training name, and which things of the registry that is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelog_common.events.entities import Entities
from modelog_common.rpc.sight import Vocabulary

from modelog_training.job.state import Job

VOCABULARY = Vocabulary(
    "modelog.training.v1", {"model": "model", "experiment": "experiment-name", "run_id": "run", "job_id": "job"}
)


async def things_of(jobs: Entities[Job, Any, Any], kind: str, name: str, tenant: str) -> Sequence[str]:
    """The experiment of a job, the models that it takes and the one that it makes a version of."""
    asked = (await jobs.load(name)).state.submitted
    if asked is None:
        return []
    models = [ref.model for ref in asked.models] + ([asked.register.model] if asked.register is not None else [])
    return [f"experiment-name:{asked.experiment}", *(f"model:{model}" for model in models)]
