"""Proofs of predictions: puts together what serving sealed and the events that led to the model that answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc.aio
import msgspec
from modelog_common.domain.errors import NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.events.store import EventStore, StoredEvent
from modelog_proofs import InGroup, PredictionRecord, make_prediction_proof
from modelog_proofs.prediction import FIELDS_WITH_TEXTS
from modelog_proofs.prediction_proof import (
    DATASET,
    DEFAULT_SET,
    LEARNED,
    REGISTERED,
    REVIEWED,
    STARTED,
    TUPLES,
)
from modelog_proofs.proven_prediction import DEFAULT
from modelog_proto.registry.v1.model_pb2 import GetModelRequest
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub
from modelog_proto.serving.v1 import deployment_pb2 as serving
from modelog_proto.serving.v1.deployment_pb2_grpc import DeploymentServiceStub

from modelog_lineage.audit.log import AuditLog
from modelog_lineage.sight import Sight

Payload = Mapping[str, Any]
Peer = Callable[[str], grpc.aio.Channel]


class PredictionProofs:
    """Asks serving and the registry as the caller, and the audit log for the proof of each event."""

    def __init__(self, audit: AuditLog, store: EventStore, peer: Peer, sight: Sight) -> None:
        self._audit, self._store, self._peer, self._sight = audit, store, peer, sight

    async def prove(self, tenant: str, deployment: str, prediction_id: str) -> str:
        """The document; raises NotFound when there is no such prediction, or the version's events cannot be found."""
        asked = serving.GetPredictionInclusionRequest(deployment=deployment, prediction_id=prediction_id)
        found = await DeploymentServiceStub(self._peer("serving")).GetPredictionInclusion(asked)
        told = found.prediction
        if told.version == DEFAULT:
            return await self._default(tenant, found)
        steps = await self._steps(tenant, told, found.position)
        digest = _payload(steps[0])["registered_digest"] if steps else told.model_digest
        registered, approvals = await self._version(told, digest, found.position)
        version = _payload(registered)
        run = await self._run(version)
        datasets = await self._datasets(tenant, [version, *map(_payload, run)])
        await self._check([registered, *run, *datasets])
        return make_prediction_proof(
            record_of(told),
            found.leaf_index,
            list(found.path),
            sealed=await self._audit.inclusion_proof(found.position, tenant),
            version=await self._audit.inclusion_proof(registered.position, tenant),
            approvals=await self._bundles(approvals, tenant),
            run=await self._bundles(run, tenant),
            datasets=await self._bundles(datasets, tenant),
            steps=await self._bundles(steps, tenant),
            group=_group(found),
        )

    async def _steps(self, tenant: str, told: serving.LoggedPrediction, until: int) -> list[StoredEvent]:
        """The steps by which the version came to the state that answered, in order; none when its own file did."""
        stream = f"serving.learning-{derived_id(tenant, told.deployment)}"
        taken = [event async for event in self._store.read_stream(stream, until=until) if event.type == LEARNED]
        wanted, chain = told.model_digest, list[StoredEvent]()
        for event in reversed(taken):
            step = _payload(event)
            if (step["version"], step["digest_after"]) == (told.version, wanted):
                chain.append(event)
                wanted = step["digest_before"]
                if wanted == step["registered_digest"]:
                    break
        return chain[::-1]

    async def _default(self, tenant: str, found: serving.PredictionInclusion) -> str:
        """The document for an answer that no version gave."""
        told, sealed = found.prediction, await self._audit.inclusion_proof(found.position, tenant)
        set_by = await self._default_set(tenant, told, found.position)
        await self._check([set_by])
        version = await self._audit.inclusion_proof(set_by.position, tenant)
        path = list(found.path)
        nothing = dict[str, list[dict[str, object]]](approvals=[], run=[], datasets=[])
        return make_prediction_proof(
            record_of(told), found.leaf_index, path, sealed=sealed, version=version, **nothing, group=_group(found)
        )

    async def _default_set(self, tenant: str, told: serving.LoggedPrediction, until: int) -> StoredEvent:
        """The last event before a position that set this default answer."""
        stream, set_by = f"serving.deployment-{derived_id(tenant, told.deployment)}", None
        async for event in self._store.read_stream(stream, until=until):
            if event.type == DEFAULT_SET:
                fallback = (_payload(event).get("resilience") or {}).get("fallback") or {}
                set_by = event if fallback.get("default_digest") == told.model_digest else set_by
        if set_by is None:
            raise NotFound(f"no event tells of a default answer of {told.deployment} with digest {told.model_digest}")
        return set_by

    async def _version(
        self, told: serving.LoggedPrediction, digest: str, until: int
    ) -> tuple[StoredEvent, list[StoredEvent]]:
        """The event that registered the version with this file, and its approvals before a position."""
        model = await ModelRegistryStub(self._peer("registry")).GetModel(GetModelRequest(name=told.model))
        registered: StoredEvent | None = None
        approvals: list[StoredEvent] = []
        async for event in self._store.read_stream(f"registry.model-{model.id}", until=until):
            payload = _payload(event)
            if payload.get("version") != told.version:
                continue
            if event.type == REGISTERED and digest in _digests(payload):
                registered = event
            elif event.type in REVIEWED and payload.get("decision") == "approved":
                approvals.append(event)
        if registered is None:
            raise NotFound(f"no event tells of {told.model} {told.version} with the file {digest}")
        return registered, approvals

    async def _run(self, version: Payload) -> list[StoredEvent]:
        run_id = version.get("run_id")
        if not run_id:
            return []
        return [await self._first(f"registry.run-{run_id}", STARTED, lambda _: True, f"run {run_id}")]

    async def _datasets(self, tenant: str, named: Sequence[Payload]) -> list[StoredEvent]:
        """The dataset versions that a version and its run name, each once."""
        wanted = {(ref["dataset"], ref["version"]): None for payload in named for ref in payload.get("datasets") or ()}
        return [
            await self._first(
                f"registry.dataset-{derived_id(tenant, name)}",
                DATASET,
                lambda payload, number=number: payload["version"] == number,  # type: ignore[misc]
                f"dataset {name} {number}",
            )
            for name, number in wanted
        ]

    async def _first(self, stream: str, kind: str, which: Callable[[Payload], bool], what: str) -> StoredEvent:
        async for event in self._store.read_stream(stream):
            if event.type == kind and which(_payload(event)):
                return event
        raise NotFound(f"no event tells of {what}, which the version names")

    async def _check(self, events: Sequence[StoredEvent]) -> None:
        if await self._sight.streams([event.stream for event in events]):
            raise NotFound("what led to the model that answered is in a workspace that you may not see")

    async def _bundles(self, events: Sequence[StoredEvent], tenant: str) -> list[dict[str, object]]:
        return [await self._audit.inclusion_proof(event.position, tenant) for event in events]


def record_of(told: serving.LoggedPrediction) -> PredictionRecord:
    """The answer as the proof tells it."""
    fields = {name: getattr(told, name) for name in FIELDS_WITH_TEXTS}
    sequences = {name: tuple(fields[name]) for name in FIELDS_WITH_TEXTS if name in TUPLES}
    return PredictionRecord(**{**fields, **sequences})


def _group(found: serving.PredictionInclusion) -> InGroup | None:
    """Its place in a leaf of several answers."""
    return InGroup(found.row, list(found.row_hashes)) if found.leaves else None


def _payload(event: StoredEvent) -> Payload:
    found: Payload = msgspec.json.decode(event.payload)
    return found


def _digests(version: Payload) -> set[str]:
    files = [version.get("artifact"), *(version.get("artifacts") or ())]
    return {file["digest"] for file in files if file}
