"""What a worker is told to do, and what it answers; both travel through Ray."""

from __future__ import annotations

from typing import Any

import msgspec

from modelog_training.job.events import CheckResult
from modelog_training.work.journal import Tensor


class Expectation(msgspec.Struct, frozen=True):
    """Something that must hold of a dataset, as the registry has it."""

    kind: str
    column: str = ""
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()


class AssignedDataset(msgspec.Struct, frozen=True):
    """A dataset version: the digest of its Parquet file and what must hold of it."""

    dataset: str
    version: int
    digest: str
    expectations: tuple[Expectation, ...] = ()


class AssignedModel(msgspec.Struct, frozen=True):
    """A stored version of a model: the digest of its file, and the columns that it takes.

    `inputs` and `outputs` are its signature; `approved` says that somebody approved it, as serving asks before it reads
    files that may run code.
    """

    model: str
    version: str
    digest: str
    flavor: str
    features: tuple[str, ...]
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    approved: bool = False


class Assignment(msgspec.Struct, frozen=True):
    """One attempt at a job. `folder` is the attempt's own; `files` holds files by digest; `log_file` is appended to."""

    folder: str
    log_file: str
    files: str
    entry_point: str
    source_digest: str
    parameters: dict[str, Any]
    datasets: tuple[AssignedDataset, ...]
    cpus: float
    models: tuple[AssignedModel, ...] = ()


class Checked(msgspec.Struct, frozen=True):
    """What the checks found; `error` is set when the data could not be read at all."""

    results: tuple[CheckResult, ...]
    error: str = ""


class Machine(msgspec.Struct, frozen=True):
    """What the worker runs in; `packages` is package name to version."""

    python: str
    platform: str
    packages: dict[str, str]


class Outcome(msgspec.Struct, frozen=True):
    """How the user's code ended: `error` is empty when it returned.

    `dirty` says what it left behind in the process (threads, children), which then must not be used again.
    """

    error: str
    dirty: str = ""
