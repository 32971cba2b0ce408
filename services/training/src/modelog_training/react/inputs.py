"""What an attempt works on: the files of its data and models, fetched from the registry before a worker is asked."""

from __future__ import annotations

from typing import Any

import msgspec
from modelog_common.domain.errors import NotFound
from modelog_proto.registry.v1 import dataset_pb2, model_pb2

from modelog_training.handle.files import Files
from modelog_training.job.events import JobSubmitted
from modelog_training.react.pump import Waiting
from modelog_training.registry import Registry
from modelog_training.work.assignment import AssignedDataset, AssignedModel, Expectation
from modelog_training.work.journal import Tensor

# Their file names the files of others, which are needed to run them.
COMPOSED = ("ensemble", "chain")


class Ended(Exception):
    """The job cannot be done; the text is what its author is told."""


class _Member(msgspec.Struct):
    digest: str


class _Manifest(msgspec.Struct):
    members: list[_Member]


class Inputs:
    """Those of one job. Raises Ended, which names the field, for what the registry does not have."""

    def __init__(self, job: JobSubmitted, registry: Registry, files: Files, patiently: Waiting) -> None:
        self._job, self._registry, self._files, self._patiently = job, registry, files, patiently

    async def datasets(self) -> list[dataset_pb2.DatasetVersion]:
        return [await self._dataset(n) for n in range(len(self._job.datasets))]

    async def source(self) -> None:
        if self._job.source_digest:
            await self._patiently(lambda: self._files.fetch(self._job.source_digest))

    async def models(self) -> list[AssignedModel]:
        return [await self._model(n) for n in range(len(self._job.models))]

    async def _dataset(self, n: int) -> dataset_pb2.DatasetVersion:
        ref = self._job.datasets[n]
        try:
            version = await self._patiently(lambda: self._registry.dataset(ref))
            await self._patiently(lambda: self._files.fetch(version.digest))
            return version
        except NotFound as missing:
            raise Ended(f"spec.datasets[{n}]: {missing}") from None

    async def _model(self, n: int) -> AssignedModel:
        ref = self._job.models[n]
        try:
            version = await self._patiently(lambda: self._registry.model_version(ref))
            digest = version.artifact.digest
            if not digest:
                raise Ended(f"spec.models[{n}]: {ref.model} {ref.version} names no file")
            await self._patiently(lambda: self._files.fetch(digest))
            if version.flavor in COMPOSED:
                for member in await self._members(digest):
                    await self._patiently(lambda member=member: self._files.fetch(member))  # type: ignore[misc]
        except NotFound as missing:
            raise Ended(f"spec.models[{n}]: {missing}") from None
        return assigned_model(version)

    async def _members(self, digest: str) -> list[str]:
        """None where the file is not what it should be: whoever loads it says so."""
        try:
            return [each.digest for each in msgspec.json.decode(await self._files.read(digest), type=_Manifest).members]
        except msgspec.MsgspecError:
            return []


def assigned_model(version: model_pb2.ModelVersion) -> AssignedModel:
    """As a worker is told of it: it is approved when its last review approved it."""
    reviews = list(version.reviews)
    return AssignedModel(
        version.model,
        version.version,
        version.artifact.digest,
        version.flavor,
        tuple(name for tensor in version.signature.inputs for name in tensor.columns),
        _tensors(version.signature.inputs),
        _tensors(version.signature.outputs),
        bool(reviews) and reviews[-1].decision == model_pb2.REVIEW_DECISION_APPROVED,
    )


def assigned_dataset(version: dataset_pb2.DatasetVersion) -> AssignedDataset:
    """As a worker is told of it."""
    expectations = tuple(
        Expectation(
            e.kind,
            e.column,
            e.minimum if e.HasField("minimum") else None,
            e.maximum if e.HasField("maximum") else None,
            tuple(e.values),
        )
        for e in version.expectations
    )
    return AssignedDataset(version.dataset, version.version, version.digest, expectations)


def _tensors(specs: Any) -> tuple[Tensor, ...]:
    return tuple(Tensor(s.name, s.datatype, tuple(s.shape), tuple(s.columns), tuple(s.kinds)) for s in specs)
