"""From messages to commands."""

from __future__ import annotations

from typing import Any

from google.protobuf.struct_pb2 import Struct, Value
from modelog_common.domain.errors import Invalid
from modelog_proto.training.v1 import training_pb2 as pb

from modelog_training.job.commands import SubmitJob
from modelog_training.job.events import DatasetRef, ModelRef, Registration, Resources
from modelog_training.job.state import JobStatus
from modelog_training.read.messages import STATUSES

USUAL_ATTEMPTS = 3
USUAL_TIMEOUT_S = 86_400.0


def submit_job(spec: pb.JobSpec, job_id: str) -> SubmitJob:
    """What a zero stands for in the contract is filled in."""
    return SubmitJob(
        job_id=job_id,
        name=spec.name,
        experiment=spec.experiment,
        entry_point=spec.entry_point,
        source_digest=spec.source_digest,
        parameters=object_of(spec.parameters),
        datasets=tuple(DatasetRef(d.dataset, d.version) for d in spec.datasets),
        resources=Resources(spec.resources.cpus or 1.0, spec.resources.memory_bytes),
        max_attempts=spec.max_attempts or USUAL_ATTEMPTS,
        timeout_s=spec.timeout_s or USUAL_TIMEOUT_S,
        register=_registration(spec.register) if spec.HasField("register") else None,
        git_commit=spec.git_commit,
        git_dirty=spec.git_dirty,
        tags=dict(spec.tags),
        models=tuple(ModelRef(m.model, m.version) for m in spec.models),
    )


def status_wanted(number: int) -> JobStatus | None:
    """None means any."""
    if number == pb.JOB_STATUS_UNSPECIFIED:
        return None
    for status, known in STATUSES.items():
        if known == number:
            return status
    names = ", ".join(f"{pb.JobStatus.Name(known)} ({known})" for known in STATUSES.values())
    raise Invalid.field("status", f"{number} is not one of {names}")


def object_of(struct: Struct) -> dict[str, Any]:
    """A JSON object; whole numbers become int."""
    return {key: _value_of(value) for key, value in struct.fields.items()}


def _value_of(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return object_of(value.struct_value)
        case "list_value":
            return [_value_of(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _registration(register: pb.RegisterOnSuccess) -> Registration:
    return Registration(register.model, register.version, register.description)
